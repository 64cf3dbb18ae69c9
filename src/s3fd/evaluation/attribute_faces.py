"""Run a detector on labelled pictures and match its predictions with the labelled faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.labels import LabelledPicture
from s3fd.evaluation.attributes import Observations
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError

SAME_FACE = 0.4
"""Minimum IoU of a detection with the labelled face; it is low because annotators draw boxes differently."""


@dataclass(frozen=True, eq=False)
class Found:
    """A detector's predictions for labelled faces.

    Attributes:
        observations: predictions and labels of the labelled faces that were found.
        missed: number of labelled faces that were not found, or whose picture cannot be read.
        unread: for each picture that cannot be read, its line in the table and the reason.
    """

    observations: Observations
    missed: int
    unread: Sequence[tuple[int, str]] = ()


def observe(
    detector: Detector,
    attribute: str,
    items: Iterable[LabelledPicture],
    column: str,
    groups: Sequence[str] = (),
) -> Found:
    """Predict `attribute` with `detector` for the faces that `items` label in `column`.

    The label of a whole picture is taken as that of its largest detected face. Faces without a label are left
    out. The observations keep the columns `groups` of the table.
    """
    probabilities: list[FloatArray] = []
    labels: list[int] = []
    sizes: list[float] = []
    texts: dict[str, list[str]] = {group: [] for group in groups}
    missed, unread = 0, []
    for item in items:
        known = np.flatnonzero(item.labels[column] >= 0)
        if not len(known):
            continue
        try:
            faces = detector.find_probabilities(detector.prepare(item.path))
        except PictureError as error:
            faces = Faces.empty()
            unread.append((item.lines[0], str(error)))
        for row, face in zip(known, faces_of(item, known, faces), strict=True):
            if face is None:
                missed += 1
                continue
            probabilities.append(faces.attributes[attribute][face])
            labels.append(int(item.labels[column][row]))
            sizes.append(float(faces.sizes[face]))
            for group in groups:
                texts[group].append(item.extra[group][row])
    classes = len(detector.runtime.classes[attribute])
    return Found(
        Observations(
            np.array(probabilities, np.float32).reshape(-1, classes),
            np.array(labels, np.int64),
            np.array(sizes, np.float32),
            {group: np.array(values, dtype=np.str_) for group, values in texts.items()},
        ),
        missed,
        unread,
    )


def faces_of(item: LabelledPicture, rows: np.ndarray, faces: Faces) -> list[int | None]:
    """Return the index of the detected face for each labelled face in `rows`; None for one not found.

    Boxes are matched one to one, in the order of their IoU. Faces that are not in `rows` take part, too.
    """
    if not len(faces):
        return [None] * len(rows)
    if item.boxes is None:
        return [int(faces.sizes.argmax())] * len(rows)
    overlap = box_ops.iou(item.boxes, faces.boxes)
    found: dict[int, int] = {}
    while overlap.max() >= SAME_FACE:
        label, face = np.unravel_index(overlap.argmax(), overlap.shape)
        found[int(label)] = int(face)
        overlap[label] = overlap[:, face] = 0
    return [found.get(int(row)) for row in rows]
