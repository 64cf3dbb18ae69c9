"""Arguments and lists of pictures that the benchmarks on result folders share."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3fd.evaluation import results, wider
from s3fd.evaluation.wider import GroundTruth
from s3fd.faces import Faces

TRUTH = "folder of WIDER FACE's .mat files"
IMAGES = "folder with the event folders of the pictures that count"


def read_arguments(description: str | None) -> tuple[GroundTruth, dict[str, Faces]]:
    """Read RESULTS TRUTH IMAGES from the command line, and return the ground truth and a detector's faces.

    Both cover the pictures in IMAGES, by ``EVENT/NAME``. A picture without a result file has no faces.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=folder, help="folder of result files, EVENT/NAME.txt")
    parser.add_argument("truth", type=folder, help=TRUTH)
    parser.add_argument("images", type=folder, help=IMAGES)
    options = parser.parse_args()
    names = names_of(options.images)
    found = results.read_all(options.results, names)
    return wider.load(options.truth).only(names), {name: found.get(name, Faces.empty()) for name in names}


def folder(text: str) -> Path:
    """Read an argument that names a folder: a mistyped one would look like a detector that finds nothing."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such folder")
    return Path(text)


def names_of(images: Path) -> list[str]:
    """``EVENT/NAME`` of each picture in the event folders of `images`."""
    return [f"{file.parent.name}/{file.stem}" for file in sorted(images.glob("*/*.jpg"))]
