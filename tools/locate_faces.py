#!/usr/bin/env python3
"""Add the box of the main face to tables of labelled portraits and crops, and join them.

    python tools/locate_faces.py DATA OUT.csv PACK [PACK …]

Each DATA/PACK has an index.csv with a row a picture and its pictures in DATA/PACK/images. OUT has a row for
each picture in which the detector finds a face: its path relative to DATA, x1, y1, x2, y2 of the largest face
in pixels, the columns of the index, and the pack. Tight crops are looked at with a border around them: the
detector knows faces by what surrounds them too.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

import s3fd
from s3fd.boxes import clip
from s3fd.inference.detector import Detector
from s3fd.training.augmentation import FILL_BGR

BORDER = 0.5
"""Border around a picture, as a share of its longer side."""

SIZE = 320
"""Longest side, border included, at which the detector looks."""


def locate(detector: Detector, path: Path) -> list[float] | None:
    """Box xyxy in pixels of the largest face of a picture; None if there is none or no picture."""
    picture = cv2.imread(str(path))
    if picture is None:
        return None
    border = round(BORDER * max(picture.shape[:2]))
    framed = cv2.copyMakeBorder(picture, *[border] * 4, cv2.BORDER_CONSTANT, value=FILL_BGR)
    faces = detector(np.asarray(framed, np.uint8))
    if not len(faces):
        return None
    box = clip(faces.boxes[[faces.sizes.argmax()]] - border, picture.shape[1], picture.shape[0])
    return [round(float(v), 1) for v in box[0]]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--min-score", type=float, default=0.4)
    args = parser.parse_args()
    detector = s3fd.load(size=SIZE, min_score=args.min_score)
    rows: list[dict[str, object]] = []
    columns: dict[str, None] = dict.fromkeys(("image", "x1", "y1", "x2", "y2", "pack"))
    for pack in args.packs:
        with (args.data / pack / "index.csv").open(encoding="utf-8") as file:
            entries = list(csv.DictReader(file))
        files = {path.stem: path for path in (args.data / pack / "images").iterdir()}
        lost = 0
        for entry in track(entries, description=pack):
            path = files[entry.pop("Image_Name")]
            box = locate(detector, path)
            if box is None:
                lost += 1
                continue
            place = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
            rows.append({"image": path.relative_to(args.data).as_posix(), **place, "pack": pack, **entry})
            columns |= dict.fromkeys(entry)
        print(f"{pack}: {len(entries) - lost} faces, {lost} pictures without", file=sys.stderr)
    with args.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
