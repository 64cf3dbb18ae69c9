"""``s3fd detect``: the faces of pictures, folders, videos and cameras."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Precision, Threads, Workers
from s3fd.cli.failure import fail
from s3fd.cli.folders import check_file, check_no_picture, open_folder
from s3fd.cli.running import choose_workers, end, open_detector, open_runtime, write
from s3fd.inference.attribute_names import split_names

if TYPE_CHECKING:
    from s3fd.inference.job import Outputs
    from s3fd.inference.writers import Writer

app = application()


@app.command()
def detect(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Picture, folder (searched recursively), quoted pattern such as 'photos/**/*.jpg', video "
            "file or camera number. With --output, also a URL such as s3://bucket/photos.",
            show_default=False,
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="PATH", help="Same as PATH; may be repeated.", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|URL",
            help="Write the faces of any number of pictures to a folder or URL, as partitioned Parquet. "
            "After a crash, repeat the command to resume (pip install 's3fd\\[archive]').",
        ),
    ] = None,
    partition: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pictures per partition of --output.")
    ] = 5000,
    csv: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a CSV table instead of JSON, one row per face ('-' for standard output).",
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the same table as Parquet instead of JSON (pip install 's3fd\\[parquet]').",
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also save a copy of each picture, with its faces marked, to DIR."),
    ] = None,
    crop: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also save a crop of each face, with a margin, to DIR: photo_0.jpg, photo_1.jpg…",
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Report faces that score above this, from 0 to 1 (certain).")
    ] = 0.5,
    min_size: Annotated[
        float,
        typer.Option(
            min=0, metavar="PIXELS", help="Report faces whose shorter side has at least this many pixels."
        ),
    ] = 0,
    size: Annotated[
        str,
        typer.Option(
            metavar="auto|vga|original|N",
            help="Longest side at which the network sees a picture: vga (640 pixels), original or N pixels. "
            "Larger sizes find smaller faces but take longer, and are limited to 16 megapixels. "
            "auto finds faces of every size by looking at several scales, and at tiles of large pictures. "
            "vga also looks at several scales if a picture is smaller than 640 pixels.",
        ),
    ] = "vga",
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Bundled model (see `s3fd weights list`), or model file: .onnx, .xml (OpenVINO) or "
            ".safetensors.",
        ),
    ] = "slim",
    threads: Threads = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="onnx|openvino|torch|ray",
            help="Inference engine: ONNX Runtime, OpenVINO (s3fd\\[openvino]) or PyTorch (s3fd\\[train]). "
            "With --output also ray (s3fd\\[ray]): --workers processes with --threads each, on the cluster "
            "at RAY_ADDRESS or on this machine.",
            show_default="depends on the weights",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            help="Pictures of the same size per pass of the network. Useful on GPUs, not on CPUs.",
        ),
    ] = 1,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…",
            help="Also predict these attributes of each face. The weights must have them, like those from "
            "`s3fd finetune`.",
        ),
    ] = None,
    min_probability: Annotated[
        float,
        typer.Option(min=0, max=1, help="Report null for an attribute that is less probable than this."),
    ] = 0.0,
) -> None:
    r"""Detect faces in pictures, folders, videos or a camera.

    Writes one line of JSON per picture to standard output:

    {"path": "a.jpg", "width": 640, "height": 480, "faces": \[{"box": \[x1, y1, x2, y2], "score": 0.98}]}

    A box is left, top, right, bottom in pixels of the upright picture. Video frames also have a frame number
    and a time in seconds. Each attribute adds two fields to a face, such as "gender" and
    "gender_probability". A picture that cannot be read gives {"path": …, "error": …}, and the run continues.

    With --output, these records become rows of Parquet, and a single line of JSON says how many there are.

    Exit code: 0 on success, 1 if some pictures could not be read, 2 for a usage error, 130 after Ctrl-C,
    143 after SIGTERM.
    """
    named = [*(paths or ()), *(inputs or ())]
    if not named:
        fail("detect needs a PATH: a picture, folder, quoted pattern, video or camera number")
    told = split_names(attributes or ())
    if output is not None:
        if csv or parquet or draw or crop:
            fail("--output cannot be combined with --csv, --parquet, --draw or --crop: use a separate run")
        from s3fd.cli.archive import detect_to_archive

        end(
            lambda: detect_to_archive(
                output,
                named,
                weights=weights,
                threads=threads,
                engine=engine,
                device=device,
                precision=precision,
                workers=workers,
                batch=batch,
                partition=partition,
                size=size,
                min_score=min_score,
                min_size=min_size,
                attributes=told,
                min_probability=min_probability,
            )
        )
    if engine == "ray":
        fail("--engine ray needs --output: it only writes archives")

    from s3fd.cli.progress import Progress
    from s3fd.inference.job import detect as detect_all
    from s3fd.inference.sources import sources

    def run() -> int:
        outputs = _open_outputs(named, draw, crop)
        at_once = workers or choose_workers(named, threads, size)
        streams = at_once if batch == 1 else 1
        runtime = open_runtime(weights, threads, engine, device, precision, streams)
        detector = open_detector(runtime, size, min_score, told, min_probability)
        pictures = sources(named, exclude=[folder for folder in (outputs.copies, outputs.crops) if folder])
        with ExitStack() as stack:
            writers = [stack.enter_context(writer) for writer in _open_writers(csv, parquet, told)]
            to_terminal = sys.stdout.isatty() and (csv == "-" or not (csv or parquet))
            shown = sys.stderr.isatty() and not to_terminal
            progress = stack.enter_context(Progress(shown, f"{runtime.engine} on {runtime.device}"))
            records = detect_all(
                detector, pictures, min_size=min_size, outputs=outputs, workers=at_once, batch=batch
            )
            return write(records, writers, progress)

    end(run)


def _open_outputs(paths: list[str], draw: Path | None, crop: Path | None) -> Outputs:
    """Make the folders for pictures, and refuse those in which originals could be overwritten."""
    from s3fd.inference.job import Outputs

    for option, folder in (("--draw", draw), ("--crop", crop)):
        if folder is not None:
            open_folder(option, folder, paths)
    if draw is not None and crop is not None and draw.resolve() == crop.resolve():
        fail("--draw and --crop need different folders")
    return Outputs(draw, crop)


def _open_writers(csv: str | None, parquet: Path | None, attributes: tuple[str, ...]) -> list[Writer]:
    """Writers of the tables that are asked for, or of JSON Lines to standard output.

    The CSV file, which loses its earlier content when it is opened, is opened last.
    """
    from s3fd.inference.writers import CsvWriter, JsonLinesWriter, ParquetWriter

    writers: list[Writer] = []
    if parquet is not None:
        check_file("--parquet", parquet)
        check_no_picture("--parquet", parquet)
        try:
            writers.append(ParquetWriter(parquet, attributes))
        except ImportError:
            fail("--parquet needs pyarrow: pip install 's3fd[parquet]'")
    if csv == "-":
        writers.append(CsvWriter(sys.stdout.buffer, attributes=attributes))
    elif csv is not None:
        check_no_picture("--csv", csv)
        try:
            stream = Path(csv).open("wb")  # noqa: SIM115 (closed by the writer)
            writers.append(CsvWriter(stream, close=True, attributes=attributes))
        except OSError as error:
            fail(f"--csv: {error}")
    return writers or [JsonLinesWriter(sys.stdout.buffer)]
