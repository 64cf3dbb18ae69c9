"""``s3fd track``: faces followed through a video or a camera."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Engine, Precision, Size, Threads, Weights
from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.folders import check_file, check_no_picture
from s3fd.cli.running import (
    SOME_FAILED,
    end,
    interruptible,
    open_detector,
    open_runtime,
    print_json,
)
from s3fd.inference.attribute_names import split_names

if TYPE_CHECKING:
    from s3fd.inference.detector import Detector
    from s3fd.video.follow import Following, TrackedFrame, Video
    from s3fd.video.summary import Track

app = application()


@app.command()
def track(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="Video file, or camera number.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a copy of the video with its faces marked: .mp4, .m4v, .mov or .mkv.",
        ),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Also write one line of JSON per frame, with every face in it."
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Detect faces in every Nth frame, and fill in the boxes between."
        ),
    ] = 1,
    gap: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Faces lost for no longer than this keep their track number.",
        ),
    ] = 1.0,
    delay: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Look this far ahead. Faces lost for no longer than this are filled in.",
        ),
    ] = 0.5,
    min_score: Annotated[
        float,
        typer.Option(min=0, max=1, help="Start tracking faces that score above this, from 0 to 1 (certain)."),
    ] = 0.5,
    size: Size = "vga",
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…", help="Also predict these attributes of each face, averaged over its track."
        ),
    ] = None,
    min_probability: Annotated[
        float,
        typer.Option(min=0, max=1, help="Report null for an attribute that is less probable than this."),
    ] = 0.0,
    weights: Weights = "slim",
    threads: Threads = None,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    r"""Track faces through a video or a camera.

    Writes one line of JSON per face to standard output once the face is gone: the first and the last frame
    with it, their times in seconds, and the frame and box where it scored best:

    {"path": "a.mp4", "track": 1, "first": 0, "last": 99, "start": 0.0, "end": 3.96, "frames": 100,
    "detections": 50, "score": 0.93, "best": 6, "box": \[x1, y1, x2, y2]}

    With --json, also writes one line per frame in the format of `s3fd detect`. Every face there has its
    "track", and "detected": false if its box was filled in. A video that cannot be read to its end gives
    {"path": …, "error": …}.

    Exit code: 0 on success, 1 if the video could not be read to its end, 2 for a usage error, 130 after
    Ctrl-C, 143 after SIGTERM. Press Ctrl-C to stop a camera; what has been written by then is kept.
    """

    def run() -> int:
        from s3fd.video.follow import Following

        try:
            following = Following(every, delay, gap)
        except ValueError as error:
            fail(str(error))
        _check(path, out, frames)
        told = split_names(attributes or ())
        runtime = open_runtime(weights, threads, engine, device, precision)
        detector = open_detector(runtime, size, min_score, told, min_probability)
        with needs_extra("video"):
            return _run(path, detector, following, out, frames)

    end(run)


def _check(path: str, out: Path | None, frames: Path | None) -> None:
    """Refuse outputs that cannot be written, or would replace the video."""
    from s3fd.video.writing import CONTAINERS

    if out is not None and out.suffix.lower() not in CONTAINERS:
        fail(f"--out: {out} must end in one of {', '.join(sorted(CONTAINERS))}")
    for option, file in (("--out", out), ("--json", frames)):
        check_file(option, file, replaced=option == "--out")
        if file is not None and file.exists() and Path(path).exists() and file.samefile(path):
            fail(f"{option}: {file} is the input video; choose another file")
    if frames is not None:
        check_no_picture("--json", frames)


def _run(path: str, detector: Detector, following: Following, out: Path | None, frames: Path | None) -> int:
    """Follow the faces and write what is asked for; return the exit code."""
    from s3fd.cli.progress import Progress
    from s3fd.inference.records import Record
    from s3fd.inference.writers import JsonLinesWriter
    from s3fd.video.follow import open_video
    from s3fd.video.frames import VideoError
    from s3fd.video.summary import Summary

    runtime = detector.runtime
    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    summary = Summary(following.gap + following.delay)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(shown, f"{runtime.engine} on {runtime.device}", "frame"))
        interrupted = stack.enter_context(interruptible())
        failure = None
        try:
            video = stack.enter_context(open_video(_source(path)))
            writers = [JsonLinesWriter(_open(frames), close=True)] if frames is not None else []
            for writer in writers:
                stack.enter_context(writer)
            height, width = video.format.height, video.format.width
            followed = stack.enter_context(closing(_follow(video, path, detector, following, out)))
            for frame in followed:
                record = Record(
                    path, frame.faces, width, height, frame=frame.number, time=round(frame.time, 3)
                )
                for writer in writers:
                    writer.write(record)
                progress.advance(record)
                _print(path, summary.add(frame))
                if interrupted():
                    break
        except VideoError as error:
            reason = error.reason if error.name in (path, f"camera:{path}") else str(error)
            failure = Record(path, error=reason)
        _print(path, summary.rest())
        if failure is not None:
            progress.advance(failure)
            print_json(failure.to_dict())
            return SOME_FAILED
        return interrupted()


def _source(path: str) -> str | int:
    """The file, or the number of a camera where there is no such file."""
    from s3fd.inference.sources import camera_number

    number = camera_number(path)
    return path if number is None else number


def _open(file: Path) -> BinaryIO:
    """Open a file for lines, or end with what is wrong about it."""
    try:
        return file.open("wb")
    except OSError as error:
        fail(f"--json: {error}")


def _follow(
    video: Video, path: str, detector: Detector, following: Following, out: Path | None
) -> Generator[TrackedFrame, None, None]:
    """Follow the faces of an open video, and write its annotated copy if one is asked for."""
    from s3fd.video.follow import follow
    from s3fd.video.job import drawn, rewrite
    from s3fd.video.writing import VideoWriter

    if out is None:
        return follow(video, detector, following)
    writer = VideoWriter(out, video.format, sound=path if Path(path).exists() else None, keep=True)
    return rewrite(video, detector, following, writer, drawn)


def _print(path: str, tracks: list[Track]) -> None:
    """Write a line of JSON for each track that is over."""
    for track in tracks:
        print_json({"path": path} | track.to_dict())
