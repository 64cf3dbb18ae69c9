"""``s3fd serve``: the faces of pictures over HTTP, and a page to look at them."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Engine, Precision
from s3fd.cli.failure import USAGE, fail, needs_extra
from s3fd.cli.running import end, open_detector, open_runtime
from s3fd.counted import counted
from s3fd.serving.settings import KEY

if TYPE_CHECKING:
    from s3fd.identity.recogniser import Recogniser
    from s3fd.inference.runtime import Runtime
    from s3fd.serving.keeper import Gallery

app = application()


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to bind. One that other machines can reach needs an API key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Require the API key in this file.",
            show_default=f"the environment variable {KEY}, if set",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Bundled model or model file, as in `s3fd detect`.",
            show_default="slim; slim-identity, which has an embedding, for a --gallery without --recogniser",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pictures to process at the same time, each with its share of the threads.",
            show_default="one per processor, and at least --batch",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for the network.", show_default="one per worker")
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1, help="Pictures, one per worker, that may share a pass of the network. Useful on GPUs."
        ),
    ] = 1,
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="GALLERY",
            help="Also serve this gallery of people under /v1/gallery: a file, or the postgresql://… URL of "
            "a database. Created if missing.",
            show_default=False,
        ),
    ] = None,
    recogniser: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Embedding model for the gallery (.onnx), with its card (.json) next to it.",
            show_default="the embedding of the weights",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Minimum score (cosine) of a match in the gallery.",
            show_default="from s3fd gallery calibrate",
        ),
    ] = None,
    max_vectors: Annotated[
        int, typer.Option(min=1, help="Maximum pictures in the gallery. Requests that add more get HTTP 507.")
    ] = 100_000,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    queue: Annotated[int, typer.Option(min=1, help="Maximum pictures waiting (else HTTP 503).")] = 64,
    deadline: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time limit for a response (else HTTP 504).")
    ] = 10.0,
    max_files: Annotated[int, typer.Option(min=1, help="Maximum files per request (else HTTP 413).")] = 16,
    max_megabytes: Annotated[
        float, typer.Option(help="Maximum size of a request in MiB (else HTTP 413).")
    ] = 32,
    max_megapixels: Annotated[
        float, typer.Option(help="Maximum megapixels per picture (else HTTP 413).")
    ] = 50,
    per_client: Annotated[
        int,
        typer.Option(min=0, help="Maximum concurrent requests per address (else HTTP 429); 0 for no limit."),
    ] = 32,
    log: Annotated[bool, typer.Option(help="Log one line per request to standard error.")] = True,
) -> None:
    r"""Serve face detection over HTTP, with a web page on which to drop pictures.

    POST /v1/detect accepts files or the bytes of a picture, and returns the records of `s3fd detect`:

    curl -F files=@photo.jpg http://127.0.0.1:8000/v1/detect

    With --gallery, POST /v1/gallery/identify identifies the faces, and people can be enrolled on the page.

    Pictures are kept in memory only, and only until their request is answered. Press Ctrl-C to stop the
    server; requests in progress are finished first.

    Requires pip install 's3fd\[serve]'. Exit code: 0 after Ctrl-C or SIGTERM, 2 if the server cannot start.
    """

    def run() -> int:
        with needs_extra("serve"):
            from s3fd.serving.app import create_app
            from s3fd.serving.server import bind, leave_signals_to_server, log_to_stderr, server
        from s3fd.identity.galleries import shown
        from s3fd.identity.job import default_weights
        from s3fd.inference.runtime import processors
        from s3fd.serving.settings import Limits, check_key, is_loopback

        key = _key(api_key_file)
        body = _whole("--max-megabytes", max_megabytes, 2**20)
        try:
            check_key(host, key)
            limits = Limits(
                body=body,
                held=8 * body,
                files=max_files,
                pixels=_whole("--max-megapixels", max_megapixels, 1e6),
                queue=queue,
                per_client=per_client or None,
                deadline=deadline,
                vectors=max_vectors,
            )
        except ValueError as error:
            fail(str(error))
        at_once = workers or max(batch, processors())
        if batch > at_once:
            fail(f"--batch {batch} needs at least as many --workers, not {at_once}")
        if gallery is None and (recogniser is not None or threshold is not None):
            fail("--recogniser and --threshold require --gallery")
        chosen = weights or ("slim" if gallery is None else default_weights(recogniser))
        runtime = open_runtime(chosen, threads or at_once, engine, device, precision, at_once)
        people = None
        if gallery is not None:
            try:
                faces = _recogniser(runtime, chosen, recogniser, max(1, (threads or at_once) // at_once))
                people = _gallery(gallery, faces, recogniser is None, threshold)
            except (OSError, ValueError) as error:
                fail(str(error))
        detector = open_detector(runtime, "vga", 0.5)
        try:
            bound, address = bind(host, port)
        except OSError as error:
            fail(f"--host {host} --port {port}: {error.strerror or error}")
        log_to_stderr(log)
        what = f"{runtime.engine} on {runtime.device}, {counted(at_once, 'worker')}"
        what += f", gallery {shown(gallery)}" if gallery is not None else ""
        ready = f"s3fd: {address} ({what}); press Ctrl-C to stop"
        application = create_app(
            detector,
            workers=at_once,
            batch=batch,
            limits=limits,
            key=key,
            local=is_loopback(host),
            gallery=people,
            on_ready=lambda: typer.echo(ready, err=True),
        )
        leave_signals_to_server()
        try:
            server(application, limits.upload + limits.deadline).run(sockets=[bound])
        except SystemExit:  # uvicorn's, with a code of its own; its log says why the service cannot start
            return USAGE
        return 0

    end(run)


def _whole(option: str, number: float, unit: float) -> int:
    """So many units, rounded; end if that is infinite."""
    if not math.isfinite(number * unit):
        fail(f"{option}: {number:g} is too large")
    return round(number * unit)


def _recogniser(runtime: Runtime, weights: str, model: Path | None, threads: int) -> Recogniser:
    """The embedding of a `model`, or else that of the weights; raises OSError or ValueError for none."""
    if model is None:
        from s3fd.identity.own_recogniser import own_recogniser

        return own_recogniser(runtime, weights)
    from s3fd.identity.onnx_recogniser import open_recogniser

    return open_recogniser(model, threads)


def _gallery(place: str, recogniser: Recogniser, own: bool, threshold: float | None) -> Gallery:
    """The gallery at a place, made if there is none; raises OSError or ValueError for one that is wrong."""
    import numpy as np

    from s3fd.identity import galleries
    from s3fd.serving.keeper import Gallery

    galleries.ensure(place, recogniser.model)
    opened = partial(galleries.open_gallery, place, recogniser.model)
    with opened() as store:
        store.search(np.zeros(recogniser.model.dimension, np.float32))  # a damaged file may only show here
    return Gallery(opened, recogniser, embeddings=own, threshold=threshold)


def _key(file: Path | None) -> str | None:
    """The API key of a file or the environment; None if there is neither."""
    if file is None:
        return os.environ.get(KEY) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--api-key-file: {error}")
