"""``s3fd anonymize``: copies of pictures and videos in which nobody's face can be recognised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Engine, Precision, Workers
from s3fd.cli.failure import fail
from s3fd.cli.folders import open_folder
from s3fd.cli.running import choose_workers, end, open_detector, open_runtime, write

if TYPE_CHECKING:
    from s3fd.inference.anonymize import Style

MIN_SCORE = 0.2
"""Lower than for detection, where a false alarm costs as much as a missed face: here it costs a blurred spot,
and a missed face is somebody who can be recognised."""

app = application()


@app.command()
def anonymize(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="A picture, a video, a folder (with all below it), or a quoted pattern "
            "such as 'photos/**/*.jpg'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the copies go; the originals themselves stay.")
    ],
    mode: Annotated[
        str,
        typer.Option(
            metavar="blur|pixelate|fill",
            help="Replace a face by a few blurred colours, by squares, or by grey.",
        ),
    ] = "blur",
    strength: Annotated[
        float, typer.Option(min=1, help="By how much coarser than usual to blur or pixelate; 1 is enough.")
    ] = 1.0,
    margin: Annotated[
        float, typer.Option(min=0, help="Also cover so much on each side, in parts of the face's box.")
    ] = 0.25,
    shape: Annotated[str, typer.Option(metavar="ellipse|box", help="What is covered.")] = "ellipse",
    min_score: Annotated[
        float,
        typer.Option(min=0, max=1, help="Hide faces that score over this; lower hides more that is no face."),
    ] = MIN_SCORE,
    size: Annotated[str, typer.Option(metavar="auto|vga|original|N", help="As in `s3fd detect`.")] = "auto",
    every: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Of a video, look at one frame in N; faces between are hidden too."
        ),
    ] = 1,
    sound: Annotated[bool, typer.Option(help="Keep the sound of videos, voices included.")] = True,
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A model that comes with s3fd, or an .onnx file.")
    ] = "slim",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the network.", show_default="one a processor")
    ] = None,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
) -> None:
    r"""Write copies of pictures and videos in which the faces are unrecognisable.

    Copies keep name, folder and format (PNG where the format cannot be written). They are upright and hold
    pixels alone: EXIF, with its place and its small copy of the original, is left out. Look them
    through before you publish them: no detector finds every face.

    In a video (pip install 's3fd\[video]') faces are followed, and also hidden for half a second before and
    a second after they are seen. The copy is an .mp4, .mov or .mkv with the sound as it was, no more.

    Writes one line of JSON a picture or video to standard output:

    {"path": "a.jpg", "out": "DIR/a.jpg", "width": 640, "height": 480, "faces": \[{"box": …, "score": 0.98}]}

    What cannot be read gives {"path": …, "error": …} and no copy, and the run goes on.

    Exit code: 0 if all went well, 1 if some pictures could not be read, 2 for a wrong call, 130 after Ctrl-C.
    """
    from s3fd.cli.progress import Progress
    from s3fd.inference.job import anonymize as anonymize_all
    from s3fd.inference.sources import sources
    from s3fd.inference.writers import JsonLinesWriter

    def run() -> int:
        style = _style(mode=mode, strength=strength, margin=margin, shape=shape)
        at_once = workers or choose_workers(paths, threads, size, whole_videos=True)
        runtime = open_runtime(weights, threads, engine, device, precision, at_once)
        detector = open_detector(runtime, size, min_score)
        open_folder("--out", out, paths)
        originals = sources(paths, exclude=[out], whole_videos=True)
        records = anonymize_all(detector, originals, out, style, every=every, sound=sound, workers=at_once)
        shown = sys.stderr.isatty() and not sys.stdout.isatty()
        told = f"{runtime.engine} on {runtime.device}"
        with JsonLinesWriter(sys.stdout.buffer) as writer, Progress(shown, told, "files") as progress:
            return write(records, [writer], progress)

    end(run)


def _style(**options: Any) -> Style:
    """How to hide faces, or end with what is wrong about the options."""
    from s3fd.inference.anonymize import Style

    try:
        return Style(**options)
    except ValueError as error:
        fail(str(error))
