"""How a command that goes through many pictures runs and ends."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from s3fd.cli.failure import fail

if TYPE_CHECKING:
    from s3fd.cli.progress import Progress
    from s3fd.inference.detector import Detector
    from s3fd.inference.records import Record
    from s3fd.inference.runtime import Runtime
    from s3fd.inference.writers import Writer

SOME_FAILED = 1
INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit codes beside that of `fail`; the last two are those a shell reports for SIGINT and SIGPIPE."""


def open_runtime(
    weights: str, threads: int | None, engine: str | None, device: str, precision: str
) -> Runtime:
    """Open the network, or end with what is wrong about the options."""
    from s3fd.inference import runtime

    try:
        return runtime.open_runtime(weights, threads, engine=engine, device=device, precision=precision)
    except runtime.EngineError as error:
        fail(str(error))
    except (FileNotFoundError, ValueError) as error:
        fail(f"--weights: {error}")


def open_detector(
    runtime: Runtime,
    size: str,
    min_score: float,
    attributes: tuple[str, ...] = (),
    min_probability: float = 0.0,
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


def end(run: Callable[[], int]) -> NoReturn:
    """End with the exit code that `run` returns, or that of what stopped it."""
    try:
        code = run()
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


def write(records: Iterable[Record | None], writers: list[Writer], progress: Progress) -> int:
    """Write and count all records; return the exit code. None says that a longer one is on its way."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd but readable files
    with interruptible() as interrupted:
        for record in records:
            if record is not None:
                for writer in writers:
                    writer.write(record)
                progress.advance(record)
            if interrupted():
                return INTERRUPTED
    return SOME_FAILED if progress.failed else 0


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
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
