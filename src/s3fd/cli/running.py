"""How a command that goes through many pictures runs and ends."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

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


MOST_WORKERS = 4
"""Pictures at work at the same time unless the user says otherwise, at most: each takes memory."""


def choose_workers(
    paths: Sequence[str], threads: int | None, size: str, *, whole_videos: bool = False
) -> int:
    """How many pictures to work on at the same time.

    A single one gets all threads. Of many, each gets few, best one: threads of one picture wait for each
    other. There are two pictures at least, so that one is decoded while the network sees another, and no more
    at sizes where one may take gigabytes. A video counts as one thing if `whole_videos`, else as its frames.
    """
    from s3fd.inference.runtime import processors
    from s3fd.inference.sources import is_one_picture

    if len(paths) == 1 and (is_one_picture(paths[0]) or (whole_videos and Path(paths[0]).is_file())):
        return 1
    if size in ("auto", "original"):
        return 2
    available = threads or processors()
    each = -(-available // MOST_WORKERS)
    return max(2, available // each)


def open_runtime(
    weights: str, threads: int | None, engine: str | None, device: str, precision: str, streams: int = 1
) -> Runtime:
    """Open the network, or end with what is wrong about the options.

    Where several streams run, OpenCV no longer divides a picture among threads of its own, which would take
    the processors from the others.
    """
    import cv2

    from s3fd.inference import runtime

    if streams > 1:
        cv2.setNumThreads(1)
    try:
        return runtime.open_runtime(
            weights, threads, engine=engine, device=device, precision=precision, streams=streams
        )
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
        known = all(name in runtime.classes for name in attributes)
        fail(str(error) if known else f"--attributes: {error}")


def end(run: Callable[[], int]) -> NoReturn:
    """End with the exit code that `run` returns, or that of what stopped it."""
    try:
        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _leave_pipe()
    except ImportError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # C++ extensions raise it on Ctrl-C
            raise
        code = INTERRUPTED
    except (OSError, MemoryError) as error:
        typer.echo(f"s3fd: {str(error) or 'not enough memory'}", err=True)
        code = SOME_FAILED
    raise typer.Exit(code)


def _leave_pipe() -> NoReturn:
    """End because the reader, such as `head`, has had enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end must go
    raise typer.Exit(BROKEN_PIPE)


def print_line(text: str) -> None:
    """Write a line to standard output, at once and as UTF-8; end if nobody reads on.

    File names need not be valid text: what is not is written as in `s3fd.inference.writers`.
    """
    try:
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _leave_pipe()


def print_json(line: dict[str, Any]) -> None:
    """Write a line of JSON to standard output: see `print_line`."""
    from s3fd.inference.writers import to_json

    print_line(to_json(line))


def write(records: Iterable[Record | None], writers: list[Writer], progress: Progress) -> int:
    """Write and count all records; return the exit code. None says that a longer one is on its way."""
    quiet_decoders()
    with interruptible() as interrupted:
        for record in records:
            if record is not None:
                for writer in writers:
                    writer.write(record)
                progress.advance(record)
            if stopped := interrupted():
                return stopped
    return SOME_FAILED if progress.failed else 0


def quiet_decoders() -> None:
    """Let Pillow be silent about odd but readable files."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """Let a first Ctrl-C or SIGTERM end the run after the present picture, and a second at once.

    No line is then cut, and no unfinished file is left. The function returns 0, or once a signal has come the
    exit code that a shell reports for it.
    """
    code = 0

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal code
        code = 128 + signum
        for number in before:
            signal.signal(number, signal.default_int_handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
