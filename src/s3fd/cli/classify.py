"""``s3fd classify``: what pictures show as a whole, from their faces."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Engine, Precision, Size, Threads
from s3fd.cli.failure import fail
from s3fd.cli.running import (
    SOME_FAILED,
    choose_workers,
    end,
    interruptible,
    open_runtime,
    print_json,
    quiet_decoders,
)

if TYPE_CHECKING:
    from s3fd.inference.records import Record

app = application()


@app.command()
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Picture, folder (searched recursively), quoted pattern or video file.",
            show_default=False,
        ),
    ],
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Bundled model, or model.onnx from `s3fd finetune`.")
    ] = "slim",
    attribute: Annotated[
        str | None, typer.Option(help="Attribute to predict.", show_default="the only one in the weights")
    ] = None,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Ignore faces whose prediction is less probable than this.")
    ] = 0.0,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Use only faces that score above this, from 0 to 1 (certain).")
    ] = 0.5,
    size: Size = "vga",
    threads: Threads = None,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    r"""Classify pictures by their faces, for example as female or male.

    Writes one line of JSON per picture to standard output:

    {"path": "a.jpg", "gender": "female", "probability": 0.93, "faces": 1}

    Faces are weighted by their area. A picture with no face, or none with a probable enough prediction, gets
    null and a reason: "no face" or "unsure". Video frames also have a frame number and a time in seconds. A
    picture that cannot be read gives {"path": …, "error": …}, and the run continues.

    Exit code: 0 on success, 1 if some pictures could not be read, 2 for a usage error, 130 after Ctrl-C,
    143 after SIGTERM.
    """
    from s3fd.cli.progress import Progress
    from s3fd.inference.detector import Detector
    from s3fd.inference.job import detect
    from s3fd.inference.resize import parse_size
    from s3fd.inference.sources import sources

    def run() -> int:
        workers = choose_workers(paths, threads, size)
        runtime = open_runtime(weights, threads, engine, device, precision, workers)
        try:
            name = attribute or _only(list(runtime.classes), weights)
            detector = Detector(
                runtime,
                size=parse_size(size),
                min_score=min_score,
                attributes=(name,),
                min_probability=min_probability,
            )
        except ValueError as error:
            fail(str(error))
        quiet_decoders()
        shown = sys.stderr.isatty() and not sys.stdout.isatty()
        told = f"{runtime.engine} on {runtime.device}"
        with Progress(shown, told) as progress, interruptible() as interrupted:
            for record in detect(detector, sources(paths), workers=workers):
                print_json(_line(record, name))
                progress.advance(record)
                if stopped := interrupted():
                    return stopped
        return SOME_FAILED if progress.failed else 0

    end(run)


def _line(record: Record, attribute: str) -> dict[str, Any]:
    """What a picture shows, or why that is open, ready for JSON."""
    from s3fd.inference.classify import answer

    if record.faces is None:
        return {"path": record.path, "error": record.error}
    found = answer(record.faces, attribute)
    probability = None if found.probability is None else round(found.probability, 4)
    line: dict[str, Any] = {"path": record.path}
    if record.frame is not None:
        line |= {"frame": record.frame, "time": record.time}
    line |= {attribute: found.label, "probability": probability, "faces": found.faces}
    if found.label is None:
        line["reason"] = "unsure" if found.faces else "no face"
    return line


def _only(names: list[str], weights: str) -> str:
    """The one attribute of the weights; raises ValueError if there is none, or a choice."""
    if not names:
        raise ValueError(f"{Path(weights).name} predicts no attributes: train one with `s3fd finetune`")
    if len(names) > 1:
        raise ValueError(f"--attribute: choose one of {', '.join(names)}")
    return names[0]
