#!/usr/bin/env python3
"""Label the gender of unlabelled faces, such as those of crowds, with a teacher.

    python tools/pseudo_labels.py DATA OUT.csv --teacher faceres.onnx --labels train.csv PACK [PACK …]

The bundled detector finds faces in every picture below each DATA/PACK, at the picture's own size. The teacher
(see tfjs_to_onnx.py) classifies every face of 20 pixels or more. OUT.csv has the rows of the table of labels,
which locate_faces.py writes, and then a row for each face: F or M where the teacher is sure. A face that is
already in the table gets no second row; the answer is filled into its own row if that has none.

The margin was chosen on 400 labelled faces of calibration.csv. Of all the teacher's answers, 91 % were right.
With `MARGIN`, seven in eight answers remain, and 95 % of them are right.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.progress import track

import s3fd
from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.labels import BOX_COLUMNS
from s3fd.evaluation.attribute_faces import SAME_FACE
from s3fd.identity.crops import square_crops
from s3fd.inference.sources import sources

SIDE = 224
"""Pixels of the teacher's input."""

AROUND = 1.5
"""Side of what the teacher sees, in longer sides of the face's box.

The best of 1, 1.25 and 1.5 on the same 400 faces."""

MARGIN = 0.15
"""Least distance of the teacher's probability from a half at which the teacher is sure."""

SMALLEST = 20.0
"""Least geometric mean side of a face that is shown to the teacher, in pixels."""

OUTPUT = "gender_pred/Sigmoid"
"""The teacher's output (N, 1): the probability of male."""

Pixels = NDArray[np.uint8]


def crop(picture: Pixels, box: FloatArray) -> Pixels:
    """Crop what the teacher sees of a face: a square around its middle, (SIDE, SIDE, 3), RGB."""
    (cut,) = square_crops(picture, box[None], SIDE, (AROUND - 1) / 2)
    return np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2RGB), np.uint8)


def gender(probability: float) -> str:
    """Return the teacher's answer by its probability of male; empty where it is not sure."""
    if abs(probability - 0.5) < MARGIN:
        return ""
    return "M" if probability > 0.5 else "F"


def rows_of(
    path: Path,
    data: Path,
    pack: str,
    detector: s3fd.Detector,
    teacher: ort.InferenceSession,
    known: Sequence[dict[str, str]] = (),
) -> Iterator[dict[str, object]]:
    """Yield the rows of one picture's faces; none if it cannot be read.

    For a face that has one of the `known` rows, the answer goes into that row if it has none yet.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        return
    faces = detector(np.asarray(picture, np.uint8))
    faces = faces[faces.sizes >= SMALLEST]
    theirs = np.array([[row[k] for k in BOX_COLUMNS] for row in known], np.float32).reshape(-1, 4)
    for box, overlap in zip(faces.boxes, box_ops.iou(faces.boxes, theirs), strict=True):
        seen = crop(np.asarray(picture, np.uint8), box)[None].astype(np.float32)
        (said,) = teacher.run([OUTPUT], {"pictures": seen})
        answer = gender(float(said[0, 0]))
        if overlap.max(initial=0) >= SAME_FACE:
            row = known[int(overlap.argmax())]
            row["Gender"] = row["Gender"] or answer
            continue
        place = dict(zip(BOX_COLUMNS, (f"{v:.1f}" for v in box.tolist()), strict=True))
        name = path.relative_to(data).as_posix()
        yield {"image": name, **place, "invalid": 0, "pack": pack, "Gender": answer}


def main() -> None:
    """Copy the table of labels, add the faces of every picture, and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="most pictures of each pack")
    arguments = parser.parse_args()
    detector = s3fd.load(size="original")
    teacher = ort.InferenceSession(str(arguments.teacher))
    with arguments.labels.open(encoding="utf-8") as lines:
        table = csv.DictReader(lines)
        columns, labelled = table.fieldnames or [], list(table)
    known: dict[str, list[dict[str, str]]] = {}
    for row in labelled:
        if row["invalid"] != "1":
            known.setdefault(row["image"], []).append(row)
    added: list[dict[str, object]] = []
    for pack in arguments.packs:
        files = [Path(source.path) for source in sources([str(arguments.data / pack)])]
        for path in track(files[: arguments.limit], description=pack):
            own = known.get(path.relative_to(arguments.data).as_posix(), ())
            added += rows_of(path, arguments.data, pack, detector, teacher, own)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows([*labelled, *added])


if __name__ == "__main__":
    main()
