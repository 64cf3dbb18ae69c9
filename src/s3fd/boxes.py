"""Pure functions on boxes, in NumPy.

A box is ``xyxy`` in pixels: left, top, right, bottom, with ``right - left`` its width (no +1 convention).
Every function takes and returns arrays of shape (N, 4), N = 0 included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

VARIANCES = (0.1, 0.2)
"""Scales of the centre and size terms of the SSD box coding, as in S³FD and the public weights."""

MAX_LOG_SIZE = 6.0
"""Largest size term that `decode` exponentiates: an untrained head must not overflow (e⁶ = 403 anchors)."""


def area(boxes: FloatArray) -> FloatArray:
    """Area of each box in square pixels, shape (N,); an inverted box has area 0."""
    size: FloatArray = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return size[:, 0] * size[:, 1]


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """Area shared by every pair of boxes of `a` (N, 4) and `b` (M, 4), shape (N, M)."""
    shared: FloatArray = _overlap(a[:, 0], a[:, 2], b[:, 0], b[:, 2])
    shared *= _overlap(a[:, 1], a[:, 3], b[:, 1], b[:, 3])
    return shared


def _overlap(a_low: FloatArray, a_high: FloatArray, b_low: FloatArray, b_high: FloatArray) -> FloatArray:
    """Length shared by every pair of intervals of `a` (N,) and `b` (M,), shape (N, M)."""
    length: FloatArray = np.minimum(a_high[:, None], b_high)
    length -= np.maximum(a_low[:, None], b_low)
    return np.maximum(length, 0, out=length)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of each pair of `a` (N, 4) and `b` (M, 4), shape (N, M); 0 for empty boxes."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    ratio: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def clip(boxes: FloatArray, width: float, height: float) -> FloatArray:
    """The part of each box that lies inside a picture of `width` × `height` pixels."""
    limit = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.clip(boxes, 0, limit)


def flip(boxes: FloatArray, width: float) -> FloatArray:
    """Boxes in a picture of `width` pixels after it is mirrored left to right."""
    flipped = boxes.copy()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return flipped


def encode(boxes: FloatArray, anchors: FloatArray) -> FloatArray:
    """SSD coding of `boxes` (N, 4) relative to `anchors` (N, 4), row by row.

    Boxes must have positive width and height. Inverse of `decode`.
    """
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    size = np.log((boxes[:, 2:] - boxes[:, :2]) / anchor_size)
    coded: FloatArray = np.concatenate([centre / (VARIANCES[0] * anchor_size), size / VARIANCES[1]], axis=1)
    return coded


def decode(deltas: FloatArray, anchors: FloatArray) -> FloatArray:
    """Boxes (N, 4) from network outputs `deltas` (N, 4) relative to `anchors` (N, 4), row by row."""
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + deltas[:, :2] * VARIANCES[0] * anchor_size
    half = anchor_size * np.exp(np.minimum(deltas[:, 2:] * VARIANCES[1], MAX_LOG_SIZE)) / 2
    decoded: FloatArray = np.concatenate([centre - half, centre + half], axis=1)
    return decoded
