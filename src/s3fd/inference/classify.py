"""What a picture shows as a whole, from the attribute of its faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3fd.faces import Faces


@dataclass(frozen=True)
class Answer:
    """An attribute of a picture.

    Attributes:
        label: the class; None where there is no face, or none that is sure enough.
        probability: of the label, 0–1; of the faces' weight, the share that speaks for it.
        faces: how many there are.
    """

    label: str | None
    probability: float | None
    faces: int


def answer(faces: Faces, attribute: str) -> Answer:
    """Let the faces of a picture say what it shows of `attribute`, one of their columns.

    Each face counts by its area: in a portrait with passers-by, the portrait decides. It gives its class its
    probability; faces that are unsure give nothing.

    Raises:
        KeyError: faces without that attribute.
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
