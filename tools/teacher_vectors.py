#!/usr/bin/env python3
"""Compute a recogniser's vectors of the faces of a table, turned upright, for `s3fd embed` to learn from.

    python tools/teacher_vectors.py DATA TABLE.csv [TABLE.csv …] --out vectors.npz \\
        --landmarks yunet.onnx --recogniser dlib.onnx [--without pairs.txt] [--packs portraits lfw_subset]

The tables are those of locate_faces.py. YuNet (MIT licence, OpenCV's model zoo) finds the eyes, the nose and
the corners of the mouth, and a similarity transform moves them to where the recogniser expects them. The
vector is the mean of those of the face and of its mirror image. People named in the pairs of `--without` are
left out, so that they can be used to test what was learnt.

The result has `images` (N,), paths relative to DATA, `boxes` (N, 4) and `vectors` (N, D). The table of these
faces is written next to it, with the suffix .csv.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data import wider
from s3fd.evaluation.verification import read_pairs
from s3fd.identity.crops import square_crops
from s3fd.identity.onnx_recogniser import OnnxRecogniser, open_recogniser
from s3fd.identity.vectors import normalise

UPRIGHT = (
    np.array([[46.2, 43.7], [101.5, 44.7], [72.6, 74.6], [47.1, 100.1], [96.1, 101.7]], np.float32) / 150
)
"""Where YuNet sees right eye, left eye, nose and corners of the mouth in dlib's own upright crops, in parts
of the crop's side. These are medians of 345 faces of LFW, cut out by dlib's `get_face_chip(…, 150, 0.25)`."""

LOOK = 288
"""Side of the crop in which YuNet sees a face, in pixels."""

MARGIN = 0.7
"""Margin of this crop around the box, in parts of the box's longer side."""

SAME = 0.4
"""IoU from which YuNet's detection is the face of the box."""

MAY_BE_NONE = "1"
"""Value of `invalid` for what may not be a face."""

MASKED = "mask"
"""Value of `mask` for a face that wears one."""

SMALLEST = 34
"""Longer side, in pixels, from which a face in a crowd shows enough of a person."""

COLUMNS = ("image", "x1", "y1", "x2", "y2", "invalid", "pack", "Person")
"""Columns of the table that is written."""

BATCH = 64


def landmarks(teacher: cv2.FaceDetectorYN, picture: np.ndarray, box: FloatArray) -> FloatArray | None:
    """Find five points (5, 2), in pixels of `picture`, of the face in `box` (4,); None if it is not found."""
    (crop,) = square_crops(picture, box[None], LOOK, MARGIN)
    side = max(1, round(float(max(box[2:] - box[:2])) * (1 + 2 * MARGIN)))
    corner = np.array([round(float(box[i] + box[i + 2] - side) / 2) for i in (0, 1)], np.float32)
    teacher.setInputSize((LOOK, LOOK))
    rows = teacher.detect(crop)[1]
    if rows is None:
        return None
    found = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * (side / LOOK)
    overlap = box_ops.iou((found + np.tile(corner, 2)).astype(np.float32), box[None])[:, 0]
    if overlap.max() < SAME:
        return None
    points: FloatArray = rows[overlap.argmax(), 4:14].reshape(5, 2) * (side / LOOK) + corner
    return points


def upright(picture: np.ndarray, points: FloatArray, size: int) -> np.ndarray:
    """Turn a face upright (size, size, 3): eyes and mouth corners of `points` (5, 2) move to `UPRIGHT`.

    The similarity transform is fitted by least squares. The nose is left out: it moves as the head turns.
    """
    source, place = (p[[0, 1, 3, 4]].astype(np.float64) @ [1, 1j] for p in (points, UPRIGHT * size))
    centred = source - source.mean()
    turn = np.vdot(centred, place - place.mean()) / np.vdot(centred, centred)  # rotation and scale
    shift = place.mean() - turn * source.mean()
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return np.asarray(cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE))


def rows_of(tables: list[Path], strangers: set[str]) -> list[dict[str, str]]:
    """Return the certain, unmasked faces of the tables, except in pictures with one of `strangers`."""
    rows: list[dict[str, str]] = []
    for table in tables:
        with table.open(encoding="utf-8", newline="") as lines:
            rows += csv.DictReader(lines)
    theirs = {row["image"] for row in rows if row.get("Person") in strangers}
    return [
        row
        for row in rows
        if row["invalid"] != MAY_BE_NONE and row.get("mask") != MASKED and row["image"] not in theirs
    ]


def crowd(data: Path, annotations: str, images: str) -> Iterator[dict[str, str]]:
    """Yield the faces of a crowd from `SMALLEST` on, as rows of a table; both paths are below `data`."""
    for sample in wider.read(data / annotations, data / images).samples:
        sides = (sample.boxes[:, 2:] - sample.boxes[:, :2]).max(axis=1, initial=0)
        for box in sample.boxes[~sample.ignored & (sides >= SMALLEST)]:
            corners = dict(zip(COLUMNS[1:5], map(str, box.tolist()), strict=True))
            image = Path(str(sample.path)).relative_to(data).as_posix()
            yield {"image": image, **corners, "invalid": "0", "pack": images.partition("/")[0]}


def faces(
    rows: list[dict[str, str]], data: Path, teacher: Path, size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each row whose face was found, and the upright face."""
    detector = cv2.FaceDetectorYN.create(str(teacher), "", (LOOK, LOOK), 0.5)
    for i, row in enumerate(track(rows, description="faces")):
        picture = cv2.imread(str(data / row["image"]))
        if picture is not None:
            points = landmarks(detector, picture, box_of(row))
            if points is not None:
                yield i, upright(picture, points, size)


def box_of(row: dict[str, str]) -> FloatArray:
    """Return the box (4,) of a row."""
    return np.array([float(row[key]) for key in ("x1", "y1", "x2", "y2")], np.float32)


def vectors_of(recogniser: OnnxRecogniser, crops: list[np.ndarray]) -> FloatArray:
    """Return the vectors (N, D) of upright faces: of each, the mean with that of its mirror image."""
    stacked = np.stack(crops)
    mirrored = np.ascontiguousarray(stacked[:, :, ::-1])
    return normalise(recogniser.embed_crops(stacked) + recogniser.embed_crops(mirrored))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--landmarks", type=Path, required=True, help="YuNet's ONNX file")
    parser.add_argument("--recogniser", type=Path, required=True, help="ONNX file with its card next to it")
    parser.add_argument("--without", type=Path, help="pairs whose people are left out")
    parser.add_argument("--packs", nargs="+", help="only faces of these packs")
    parser.add_argument("--crowds", nargs="+", default=[], metavar="ANNOTATIONS=IMAGES")
    args = parser.parse_args()
    pairs = read_pairs(args.without) if args.without else []
    rows = rows_of(args.tables, {name for pair in pairs for name, _ in (pair.first, pair.second)})
    rows = [row for row in rows if not args.packs or row["pack"] in args.packs]
    for place in args.crowds:
        rows += crowd(args.data, *place.split("="))
    recogniser = open_recogniser(args.recogniser)
    numbers, vectors, waiting = [], [], []
    for number, face in faces(rows, args.data, args.landmarks, recogniser.size):
        numbers.append(number)
        waiting.append(face)
        if len(waiting) == BATCH:
            vectors.append(vectors_of(recogniser, waiting))
            waiting = []
    if waiting:
        vectors.append(vectors_of(recogniser, waiting))
    kept = [rows[i] for i in numbers]
    np.savez_compressed(
        args.out,
        images=[row["image"] for row in kept],
        boxes=np.stack([box_of(row) for row in kept]),
        vectors=np.concatenate(vectors),
    )
    with args.out.with_suffix(".csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    print(f"{len(kept)} of {len(rows)} faces")


if __name__ == "__main__":
    main()
