"""Combine what several looks at a face say of it, weighted by how well each sees a face of that size."""

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
    """Give `faces` the attributes and embeddings on which all looks at a picture agree.

    A look at the picture of `width` × `height` pixels counts if it found the face too and sees it whole. Each
    look's weight is a bell curve over the size at which it sees the face. Small faces therefore keep what the
    finest look says, the only one that sees them. Probabilities (N, classes) are averaged as logarithms, as
    if the looks were independent. Embeddings (N, D) are averaged as vectors of length 1.
    """
    if not faces.attributes and faces.embeddings is None:
        return faces
    weights, rows = zip(
        *(_opinion(faces, look, others, width, height) for look, others in found), strict=True
    )
    shares = _softmax(np.stack(weights))
    asked = np.stack(rows).max(axis=0)[:, None] >= 0  # a box without an area matches none
    attributes = {}
    for name, own in faces.attributes.items():
        told = [np.log(np.maximum(others.attributes[name], LEAST)) for _, others in found]
        together = _softmax(_average(told, shares, rows).T).T.astype(own.dtype)
        attributes[name] = np.where(asked, together, own)
    embeddings = faces.embeddings
    if embeddings is not None:
        vectors = _average([_vectors(others) for _, others in found], shares, rows)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        embeddings = np.where(lengths > LEAST, vectors / np.maximum(lengths, LEAST), embeddings)
    return replace(faces, attributes=attributes, embeddings=embeddings)


def _average(told: Sequence[FloatArray], shares: FloatArray, rows: Sequence[NDArray[np.intp]]) -> FloatArray:
    """Average what the looks told of the faces that each found (M, C), with `shares` (looks, N): (N, C)."""
    total = np.zeros((shares.shape[1], told[0].shape[1]), np.float32)
    for values, share, chosen in zip(told, shares, rows, strict=True):
        seen = chosen >= 0
        total[seen] += share[seen, None] * values[chosen[seen]]
    return total


def _vectors(faces: Faces) -> FloatArray:
    assert faces.embeddings is not None
    return faces.embeddings


def _opinion(
    faces: Faces, look: Look, found: Faces, width: int, height: int
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Logarithm of a look's weight (N,) for each of `faces`, and the index of its match in `found`, or -1."""
    if not len(found):
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
