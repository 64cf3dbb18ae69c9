"""Classify a whole picture by an attribute of its faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3fd.faces import Faces


@dataclass(frozen=True)
class Answer:
    """An attribute of a whole picture.

    Attributes:
        label: the class; None if the picture has no face, or none with a label.
        probability: of `label`, 0–1: the summed weights of the faces that have it, as a share of the area of
            all faces with a label.
        faces: number of faces, with or without a label.
    """

    label: str | None
    probability: float | None
    faces: int


def answer(faces: Faces, attribute: str) -> Answer:
    """Classify a picture by `attribute`, one of the columns of its faces.

    Each face votes for its label with its area times its probability, so that in a portrait with passers-by,
    the portrait decides. Faces without a label do not vote.

    Raises:
        KeyError: the faces do not have that attribute.
    """
    told, sure = faces.attributes[attribute], faces.attributes[f"{attribute}_probability"]
    area = faces.sizes.astype(np.float64) ** 2
    known = [i for i in range(len(faces)) if told[i] is not None]
    weights: dict[str, float] = {}
    for i in known:
        weights[told[i]] = weights.get(told[i], 0.0) + float(area[i] * sure[i])
    if not weights:
        return Answer(None, None, len(faces))
    label = max(weights, key=lambda name: weights[name])
    return Answer(label, weights[label] / float(area[known].sum()), len(faces))
