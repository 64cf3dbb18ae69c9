"""``s3fd detect``: the faces of pictures, folders, videos and cameras."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.engine import Device, Engine, Precision
from s3fd.cli.failure import fail

if TYPE_CHECKING:
    from s3fd.cli.progress import Progress
    from s3fd.inference.detector import Detector
    from s3fd.inference.job import Outputs
    from s3fd.inference.runtime import Runtime
    from s3fd.inference.writers import Writer

SOME_FAILED = 1
INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit codes beside that of `fail`; the last two are those a shell reports for SIGINT and SIGPIPE."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def detect(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="A picture, a folder (with all below it), a quoted pattern such as 'photos/**/*.jpg', "
            "a video file, or the number of a camera.",
            show_default=False,
        ),
    ],
    csv: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write a table as CSV instead, one row a face ('-': standard output)."
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the same table as Parquet instead (pip install 's3fd\\[parquet]')."
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write a copy of every picture with its faces marked to DIR."),
    ] = None,
    crop: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also cut every face out, with a margin, to DIR: photo_0.jpg, photo_1.jpg…"
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Report faces that score over this, from 0 to 1 (certain).")
    ] = 0.5,
    min_size: Annotated[
        float,
        typer.Option(min=0, metavar="PIXELS", help="Report faces whose shorter side has so many pixels."),
    ] = 0,
    size: Annotated[
        str,
        typer.Option(
            metavar="vga|original|N",
            help="Longest side at which the network sees a picture: vga (640 pixels), original, or N pixels. "
            "Larger finds smaller faces and takes longer. Over 16 megapixels a picture is always shrunk.",
        ),
    ] = "vga",
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="A model that comes with s3fd, or a file of one: .onnx, .xml (OpenVINO) or .safetensors.",
        ),
    ] = "slim",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the network.", show_default="one a processor"),
    ] = None,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Also tell this of every face, with weights that can, such as those of `s3fd finetune`.",
        ),
    ] = None,
    min_probability: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave an attribute open (null) that is less probable than this."),
    ] = 0.0,
) -> None:
    r"""Find the faces in pictures, folders, videos or a camera.

    Writes one line of JSON a picture to standard output:

    {"path": "a.jpg", "width": 640, "height": 480, "faces": \[{"box": \[x1, y1, x2, y2], "score": 0.98}]}

    A box is left, top, right, bottom in pixels of the upright picture. Frames of a video also have a number
    and a time in seconds. An attribute gives a face two more fields, such as "gender" and
    "gender_probability". What cannot be read gives {"path": …, "error": …}, and the run goes on.

    Exit code: 0 if all went well, 1 if some pictures could not be read, 2 for a wrong call, 130 after Ctrl-C.
    """
    from s3fd.cli.progress import Progress

    try:
        outputs = _open_outputs(paths, draw, crop)
        told = tuple(name.strip() for name in attributes.split(",")) if attributes else ()
        runtime = _open_runtime(weights, threads, engine, device, precision)
        detector = _open_detector(runtime, size, min_score, told, min_probability)
        with ExitStack() as stack:
            writers = [stack.enter_context(writer) for writer in _open_writers(csv, parquet, told)]
            to_terminal = sys.stdout.isatty() and (csv == "-" or not (csv or parquet))
            shown = sys.stderr.isatty() and not to_terminal
            progress = stack.enter_context(Progress(shown, f"{runtime.engine} on {runtime.device}"))
            code = _run(detector, paths, min_size, outputs, writers, progress)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has had enough. What Python flushes on its way out must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except OSError as error:
        typer.echo(f"s3fd: {error}", err=True)
        code = SOME_FAILED
    raise typer.Exit(code)


def _run(
    detector: Detector,
    paths: list[str],
    min_size: float,
    outputs: Outputs,
    writers: list[Writer],
    progress: Progress,
) -> int:
    """Detect, write and count; return the exit code."""
    from s3fd.inference.job import detect as detect_all
    from s3fd.inference.sources import sources

    warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd but readable files
    pictures = sources(paths, exclude=[folder for folder in (outputs.copies, outputs.crops) if folder])
    with _interruptible() as interrupted:
        for record in detect_all(detector, pictures, min_size=min_size, outputs=outputs):
            for writer in writers:
                writer.write(record)
            progress.advance(record)
            if interrupted():
                return INTERRUPTED
    return SOME_FAILED if progress.failed else 0


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let a first Ctrl-C end the run after the present picture, so that no line is cut; a second at once."""
    asked = False

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _open_runtime(
    weights: str, threads: int | None, engine: str | None, device: str, precision: str
) -> Runtime:
    """Open the network, or end with what is wrong about the options."""
    from s3fd.inference.runtime import EngineError, open_runtime

    try:
        return open_runtime(weights, threads, engine=engine, device=device, precision=precision)
    except EngineError as error:
        fail(str(error))
    except (FileNotFoundError, ValueError) as error:
        fail(f"--weights: {error}")


def _open_detector(
    runtime: Runtime, size: str, min_score: float, attributes: tuple[str, ...], min_probability: float
) -> Detector:
    """Build the detector, or end with what is wrong about the options."""
    from s3fd.inference.detector import Detector
    from s3fd.inference.resize import parse_size

    try:
        parsed = parse_size(size)
    except ValueError as error:
        fail(f"--size: {error}")
    try:
        return Detector(
            runtime,
            size=parsed,
            min_score=min_score,
            attributes=attributes,
            min_probability=min_probability,
        )
    except ValueError as error:
        fail(f"--attributes: {error}")


def _open_outputs(paths: list[str], draw: Path | None, crop: Path | None) -> Outputs:
    """Make the folders for pictures, and refuse those in which originals could be overwritten."""
    from s3fd.inference.job import Outputs
    from s3fd.inference.sources import common_base

    base = common_base(paths)
    for option, folder in (("--draw", draw), ("--crop", crop)):
        if folder is None:
            continue
        if base is not None and folder.resolve() == Path(base).resolve():
            fail(f"{option}: {folder} is the folder of the pictures themselves: name another")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(f"{option}: {error}")
    if draw is not None and crop is not None and draw.resolve() == crop.resolve():
        fail("--draw and --crop need different folders")
    return Outputs(draw, crop)


def _open_writers(csv: str | None, parquet: Path | None, attributes: tuple[str, ...]) -> list[Writer]:
    """Writers of the tables that are asked for, or of JSON Lines to standard output."""
    from s3fd.inference.writers import CsvWriter, JsonLinesWriter, ParquetWriter

    writers: list[Writer] = []
    if csv == "-":
        writers.append(CsvWriter(sys.stdout.buffer, attributes=attributes))
    elif csv is not None:
        try:
            stream = Path(csv).open("wb")  # noqa: SIM115 (closed by the writer)
            writers.append(CsvWriter(stream, close=True, attributes=attributes))
        except OSError as error:
            fail(f"--csv: {error}")
    if parquet is not None:
        if not parquet.parent.is_dir() or parquet.is_dir():
            fail(f"--parquet: {parquet} is not a file in a folder that exists")
        try:
            writers.append(ParquetWriter(parquet, attributes))
        except ImportError:
            fail("--parquet needs pyarrow: pip install 's3fd[parquet]'")
    return writers or [JsonLinesWriter(sys.stdout.buffer)]
