#!/usr/bin/env python3
"""Pack an annotated set into tar shards, for training over a network or from a few large files.

    python tools/make_shards.py OUT --format wider --images IMAGES --annotations gt.txt [--pictures 1000]

IMAGES and the annotations may be URLs. OUT is a new folder on the local disk, which appears once all of its
shards are written. `s3fd.data.shards` describes their contents. Prints the entry for `data:` of a
configuration.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import track

from s3fd.cli.skipped import report_skipped
from s3fd.data import shards
from s3fd.data.location import UnreachableError
from s3fd.training.config import DataConfig
from s3fd.training.loop import read_data


def pack(config: DataConfig, out: Path, pictures: int) -> str:
    """Write the shards, report what was skipped, and return the entry for a configuration.

    Raises:
        ValueError: the set is malformed or has no pictures.
        OSError: the set cannot be read, or OUT exists already or cannot be written.
        UnreachableError: a URL cannot be reached.
    """
    samples, problems = read_data([config], Path())
    report_skipped(problems, "annotations")
    if not samples:
        raise ValueError(f"{config.images}: no pictures")
    written = shards.write(track(samples, description="packing"), out, pictures)
    first, last = written[0].stem, written[-1].stem
    return f'{{format: shards, images: "{out.resolve()}/{{{first}..{last}}}.tar"}}'


def main() -> None:
    """Pack what the arguments name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--format", required=True, help="wider, voc, yolo or shards")
    parser.add_argument("--images", required=True)
    parser.add_argument("--annotations")
    parser.add_argument("--pictures", type=int, default=1000, help="most pictures in a shard")
    options = parser.parse_args()
    if options.pictures < 1:
        parser.error("--pictures: at least one")
    entry = {"format": options.format, "images": options.images, "annotations": options.annotations}
    try:
        print(pack(DataConfig.model_validate(entry), options.out, options.pictures))
    except (ValueError, OSError, UnreachableError) as error:
        sys.exit(f"make_shards: {error}")


if __name__ == "__main__":
    main()
