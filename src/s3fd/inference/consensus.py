"""What several looks say of one face, put together: each counts by how well it sees a face of that size."""

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
"""Geometric mean side, in pixels as the network sees it, of the faces of which it tells most."""

SPREAD = 0.3
"""Standard deviation of the weights over the logarithm of the size: at half the size it is a fourteenth. With
`BEST` chosen on the people who are kept for calibration, not on those of the test."""

SAME = 0.5
"""Boxes of two looks that overlap by more than this are of one face."""

LEAST = 1e-6
"""Probabilities under it count as it: nobody is that sure."""

UNASKED = -1e9
"""Logarithm of the weight of a look that has no say: finite, so that all may have none."""


def agree(faces: Faces, found: Sequence[tuple[Look, Faces]], width: int, height: int) -> Faces:
    """Give `faces` the attributes that all looks at a picture of `width` × `height` pixels say together.

    A look is asked where it found the face as well and sees it whole. Probabilities (N, classes) are
    averaged as logarithms, as if the looks were independent, and each look's weight is a bell over the size
    at which it sees the face. So small faces keep what the finest look says, the only one that sees them.
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
        attributes[name] = np.where(asked[:, None], together, own)  # a box without an area is like no other
    return replace(faces, attributes=attributes)


def _opinion(
    faces: Faces, look: Look, found: Faces, width: int, height: int
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Logarithm of a look's weight (N,) for each of `faces`, and which of those it `found` it is, or -1."""
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
