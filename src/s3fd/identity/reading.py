"""Face vectors, read from an embedding's feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s3fd.anchors import ANCHOR_SIZES, STRIDES, map_sizes
from s3fd.boxes import FloatArray
from s3fd.identity.vectors import normalise


def at_boxes(
    cells: FloatArray, boxes: FloatArray, layers: Sequence[int], width: int, height: int
) -> FloatArray:
    """Read the vectors (N, D) of length 1 of faces at `boxes` (N, 4), xyxy in pixels of the network's input.

    Each face is read on the layer whose anchor size is nearest to its own, in octaves. Its vector is
    interpolated bilinearly between the four cells around the centre of its box.

    Args:
        cells: (C, D) vectors of any length: all cells of each of the `layers` in turn, row by row.
        boxes: boxes of the faces.
        layers: detection layers, 0–5, that the embedding covers.
        width: width of the network's input, in pixels.
        height: height of the network's input, in pixels.

    Raises:
        ValueError: a vector has no direction, or `cells` does not match the input size and the layers.
    """
    sizes = [map_sizes(height, width)[layer] for layer in layers]
    starts = np.cumsum([0, *(rows * columns for rows, columns in sizes)])
    if len(cells) != starts[-1]:
        raise ValueError(f"expected {starts[-1]} cells for an input of {width} × {height}, not {len(cells)}")
    if not len(boxes):
        return np.zeros((0, cells.shape[1]), np.float32)
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clip(min=1e-3)
    anchors = np.array([ANCHOR_SIZES[layer] for layer in layers], np.float32)
    nearest = np.abs(np.log2(sides[:, None] / anchors)).argmin(axis=1)
    strides = np.array([STRIDES[layer] for layer in layers], np.float32)[nearest]
    last = np.array(sizes)[nearest] - 1  # row, column
    x = ((boxes[:, 0] + boxes[:, 2]) / 2 / strides - 0.5).clip(0, last[:, 1])
    y = ((boxes[:, 1] + boxes[:, 3]) / 2 / strides - 0.5).clip(0, last[:, 0])
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    vectors = np.zeros((len(boxes), cells.shape[1]), np.float64)
    for down in (0, 1):
        for right in (0, 1):
            row, column = np.minimum(top + down, last[:, 0]), np.minimum(left + right, last[:, 1])
            weight = np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            places = starts[nearest] + row * (last[:, 1] + 1) + column
            vectors += weight[:, None] * cells[places]
    return normalise(vectors.astype(np.float32))
