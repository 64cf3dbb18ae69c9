"""Combine the predictions of several looks at a face, weighted by how well each sees a face of that size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.inference.pyramid import Look

BEST = 150.0
"""Geometric mean side, in pixels as the network sees it, of the faces whose attributes it predicts best."""

SPREAD = 0.3
"""Standard deviation of the weights over the logarithm of the size: at half of `BEST`, the weight is a
fourteenth. Both were chosen on the people held out for calibration, not on those of the test."""

SAME = 0.5
"""IoU above which boxes of two looks belong to the same face."""

LEAST = 1e-6
"""Smallest probability that counts; smaller ones are raised to it, as no prediction is that certain."""

UNASKED = -1e9
"""Logarithm of the weight of a look that does not count: finite, so that no look at all may count."""


def agree(faces: Faces, found: Sequence[tuple[Look, Faces]], width: int, height: int) -> Faces:
    """Give `faces` the attributes that all looks at a picture of `width` × `height` pixels predict together.

    A look counts if it found the face too and sees it whole. Probabilities (N, classes) are averaged as
    logarithms, as if the looks were independent. Each look's weight is a bell curve over the size at which it
    sees the face. Small faces therefore keep the prediction of the finest look, the only one that sees them.
    """
    if not faces.attributes:
        return faces
    weights, rows = zip(
        *(_opinion(faces, look, others, width, height) for look, others in found), strict=True
    )
    shares = _softmax(np.stack(weights))
    asked = np.stack(rows).max(axis=0) >= 0
    attributes = {}
    for name, own in faces.attributes.items():
        total = np.zeros_like(own)
        for share, chosen, (_, others) in zip(shares, rows, found, strict=True):
            seen = chosen >= 0
            logarithms = np.log(np.maximum(others.attributes[name][chosen[seen]], LEAST))
            total[seen] += share[seen, None] * logarithms
        together = _softmax(total.T).T.astype(own.dtype)
        attributes[name] = np.where(asked[:, None], together, own)  # a box without an area matches none
    return replace(faces, attributes=attributes)


def _opinion(
    faces: Faces, look: Look, found: Faces, width: int, height: int
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Logarithm of a look's weight (N,) for each of `faces`, and the index of its match in `found`, or -1."""
    if not len(found) or not len(faces):
        return np.full(len(faces), UNASKED, np.float32), np.full(len(faces), -1)
    overlaps = boxes.iou(faces.boxes, found.boxes)
    overlaps[:, ~look.sees_whole(found.boxes, width, height)] = 0
    chosen = np.where(overlaps.max(axis=1) > SAME, overlaps.argmax(axis=1), -1)
    sizes = np.maximum(faces.sizes, 1e-3) * look.level.scale
    weights = -0.5 * (np.log(sizes / BEST) / SPREAD) ** 2
    return np.where(chosen >= 0, weights, UNASKED).astype(np.float32), chosen


def _softmax(logits: FloatArray) -> FloatArray:
    """Softmax over the first axis."""
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    return np.asarray(powers / powers.sum(axis=0, keepdims=True), np.float32)
