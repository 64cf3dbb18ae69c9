"""``s3fd anonymize``: copies of pictures and videos in which nobody's face can be recognised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Device, Engine, Precision, Size, Threads, Weights, Workers
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
            help="Picture, video, folder (searched recursively) or quoted pattern such as 'photos/**/*.jpg'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the copies. The originals are not changed.")
    ],
    mode: Annotated[
        str,
        typer.Option(
            metavar="blur|pixelate|fill",
            help="Replace each face with a few blurred colours, with squares, or with grey.",
        ),
    ] = "blur",
    strength: Annotated[
        float, typer.Option(min=1, help="How many times coarser than usual to blur or pixelate. 1 is enough.")
    ] = 1.0,
    margin: Annotated[
        float, typer.Option(min=0, help="Also cover this much on each side, as a fraction of the face's box.")
    ] = 0.25,
    shape: Annotated[str, typer.Option(metavar="ellipse|box", help="Shape of the covered area.")] = "ellipse",
    min_score: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Hide faces that score above this. Lower values also hide more non-faces."
        ),
    ] = MIN_SCORE,
    size: Size = "auto",
    every: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="In videos, detect faces in every Nth frame. Faces in between are hidden too.",
        ),
    ] = 1,
    sound: Annotated[bool, typer.Option(help="Keep the sound of videos, including voices.")] = True,
    weights: Weights = "slim",
    threads: Threads = None,
    engine: Engine = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
) -> None:
    r"""Make faces unrecognisable in copies of pictures and videos.

    Copies keep their name, folder and format (PNG if the format cannot be written). They are upright and
    contain only pixels: EXIF data, including the location and the thumbnail of the original, is left out.
    Check the copies before you publish them: no detector finds every face.

    In videos (pip install 's3fd\[video]'), faces are tracked, and also hidden for half a second before and a
    second after they are seen. The copy is an .mp4, .m4v, .mov or .mkv file with the original sound, if its
    format can hold that, and nothing else.

    Writes one line of JSON per picture or video to standard output:

    {"path": "a.jpg", "out": "DIR/a.jpg", "width": 640, "height": 480, "faces": \[{"box": …, "score": 0.98}]}

    A file that cannot be read gives {"path": …, "error": …} and no copy, and the run continues.

    Exit code: 0 on success, 1 if some pictures could not be read, 2 for a usage error, 130 after Ctrl-C,
    143 after SIGTERM.
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
        with JsonLinesWriter(sys.stdout.buffer) as writer, Progress(shown, told, "file") as progress:
            return write(records, [writer], progress)

    end(run)


def _style(**options: Any) -> Style:
    """How to hide faces, or end with what is wrong about the options."""
    from s3fd.inference.anonymize import Style

    try:
        return Style(**options)
    except ValueError as error:
        fail(str(error))
