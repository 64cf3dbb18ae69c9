#!/usr/bin/env python3
"""Add face boxes to tables of labelled portraits and crops, join them, and hold out some people for testing.

    python tools/locate_faces.py DATA OUT --teacher yunet.onnx PACK [PACK …]

Each DATA/PACK has its pictures in DATA/PACK/images, and an index.csv with a row per picture or a masks.csv
with a row per face. OUT receives train.csv, calibration.csv (a twentieth) and test.csv (a tenth), with a row
per face: its picture's path relative to DATA, x1, y1, x2, y2 in pixels, and the columns of the packs' tables.
A picture's label is that of the face in its middle; the other faces have none. `invalid` is 1 for what may or
may not be a face. Nobody whose name is known is in two of the files.

Boxes are YuNet's (MIT licence, OpenCV's model zoo), as in relabel.py. Each picture gets a border, because in
a tight crop the face is found by its surroundings; grey is enough for that.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import sys
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from relabel import AGREEMENT, LOWEST_SCORE, SURE, annotate
from rich.progress import track

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.evaluation.verification_pictures import middle
from s3fd.faces import Faces
from s3fd.inference.resize import FILL_BGR

BORDER = 0.3
"""Border around a picture, as a share of its longer side."""

SIZES = (160, 288)
"""Longest sides at which the teacher sees a picture of 400 pixels or fewer, all with the border."""

MAIN_SCORE = 0.5
"""The teacher's score from which the face in the middle counts as the labelled one."""

SHARES = {"test": 10, "calibration": 15}
"""Upper bounds of each part, out of a hundred: below 10 is test, from there to below 15 calibration.

They apply to a checksum of the person's name, or else the picture's."""

PLACE = ("image", "x1", "y1", "x2", "y2", "invalid", "pack")

Row = dict[str, object]


class Picture(NamedTuple):
    """A picture with the labels of its pack: columns of the picture (`boxes` is None), or of each box."""

    file: Path
    pack: str
    boxes: FloatArray | None
    columns: list[dict[str, str]]


def pictures_of(folder: Path) -> list[Picture]:
    """Read the pictures of a pack."""
    files = {path.stem: path for path in (folder / "images").iterdir()}
    table = folder / "index.csv"
    if table.exists():
        entries = _read(table)
        return [Picture(files[e.pop("Image_Name")], folder.name, None, [e]) for e in entries]
    by_picture: dict[str, list[dict[str, str]]] = {}
    for entry in _read(folder / "masks.csv"):
        by_picture.setdefault(entry.pop("image"), []).append(entry)
    found = []
    for name, entries in by_picture.items():
        boxes = np.array([[float(e.pop(k)) for k in PLACE[1:5]] for e in entries], np.float32)
        found.append(Picture(files[Path(name).stem], folder.name, boxes, entries))
    return found


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def locate(picture: Picture, data: Path, teacher_file: Path) -> list[Row]:
    """Return the rows of one picture; none if no labelled face was found."""
    pixels = cv2.imread(str(picture.file))
    if pixels is None:
        return []
    teacher = cv2.FaceDetectorYN.create(str(teacher_file), "", (320, 320), LOWEST_SCORE, 0.45, 5000)
    border = round(BORDER * max(pixels.shape[:2]))
    framed = cv2.copyMakeBorder(pixels, *[border] * 4, cv2.BORDER_CONSTANT, value=FILL_BGR)
    height, width = pixels.shape[:2]
    sizes = SIZES if max(framed.shape) <= 400 else (320, 640)
    seen = annotate(teacher, framed, sizes)
    boxes = box_ops.clip(seen.boxes - border, width, height)
    labels = label_boxes(picture, boxes, seen.scores, width, height)
    if not any(labels):
        return []
    name = picture.file.relative_to(data).as_posix()
    rows: list[Row] = []
    for box, score, label in zip(boxes.tolist(), seen.scores.tolist(), labels, strict=True):
        place = (name, *(round(v, 1) for v in box), int(label is None and score < SURE), picture.pack)
        rows.append(dict(zip(PLACE, place, strict=True)) | (label or {}))
    if picture.boxes is not None:  # labelled, but not seen by the teacher: uncertain
        missed = ~(box_ops.iou(boxes, picture.boxes) >= AGREEMENT).any(axis=0)
        for box in picture.boxes[missed].tolist():
            rows.append(dict(zip(PLACE, (name, *box, 1, picture.pack), strict=True)))
    return rows


def label_boxes(
    picture: Picture, boxes: FloatArray, scores: FloatArray, width: int, height: int
) -> list[dict[str, str] | None]:
    """Return the labels of each of the boxes (N, 4) that the teacher saw, None where there are none."""
    labels: list[dict[str, str] | None] = [None] * len(boxes)
    if not len(boxes):
        return labels
    if picture.boxes is not None:
        overlap = box_ops.iou(boxes, picture.boxes)
        for i, best in enumerate(overlap.argmax(axis=1)):
            if overlap[i, best] >= AGREEMENT:
                labels[i] = picture.columns[best]
        return labels
    main = middle(Faces(boxes, scores), width, height)
    if scores[main] >= MAIN_SCORE:
        labels[main] = picture.columns[0]
    return labels


def part_of(picture: Picture) -> str:
    """Return the file that a picture belongs to: the same one for all of a person's pictures."""
    name = picture.columns[0].get("Person") or picture.file.stem
    place = zlib.crc32(name.encode()) % 100
    return next((part for part, end in SHARES.items() if place < end), "train")


def write(file: Path, rows: Sequence[Row], columns: Iterable[str]) -> None:
    """Write a table."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(columns))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="folder for the tables")
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--teacher", type=Path, required=True, help="YuNet's ONNX file")
    args = parser.parse_args()
    parts: dict[str, list[Row]] = {"train": [], **{part: [] for part in SHARES}}
    work = partial(locate, data=args.data, teacher_file=args.teacher)
    with multiprocessing.Pool(initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        for pack in args.packs:
            every = pictures_of(args.data / pack)
            done = track(pool.imap(work, every, chunksize=32), total=len(every), description=pack)
            lost = 0
            for picture, rows in zip(every, done, strict=True):
                parts[part_of(picture)] += rows
                lost += not rows
            print(f"{pack}: {len(every) - lost} pictures, {lost} without a face", file=sys.stderr)
    columns = dict.fromkeys(key for rows in parts.values() for row in rows for key in row)
    args.out.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        write(args.out / f"{part}.csv", rows, dict.fromkeys((*PLACE, *columns)))


if __name__ == "__main__":
    main()
