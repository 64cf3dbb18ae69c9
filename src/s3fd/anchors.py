"""The anchors of S³FD: one square per cell, its side four times the layer's stride.

This is the paper's *equal-proportion interval principle* (section 3.1): every layer has the same density
of anchors relative to their size, so that a face of any size meets the same number of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s3fd.boxes import FloatArray

STRIDES = (4, 8, 16, 32, 64, 128)
"""Input pixels between neighbouring cells of the six detection layers."""

ANCHOR_SIZES = (16, 32, 64, 128, 256, 512)
"""Side of each layer's anchors in input pixels (paper, table 1)."""


def anchors(map_sizes: Sequence[tuple[int, int]]) -> FloatArray:
    """All anchors of six detection maps as xyxy boxes in input pixels, shape (A, 4).

    `map_sizes` holds (height, width) in cells of each detection map, finest first. Cell (row, column) has its
    anchor centred at ((column + 0.5) · stride, (row + 0.5) · stride). The order is that of the network's
    outputs: layer by layer, row by row.

    Raises ValueError unless there are six maps.
    """
    levels = []
    for (height, width), stride, size in zip(map_sizes, STRIDES, ANCHOR_SIZES, strict=True):
        y, x = np.mgrid[:height, :width]
        centre = (np.stack([x, y, x, y], axis=-1).reshape(-1, 4) + 0.5) * stride
        levels.append(centre + np.array([-1, -1, 1, 1]) * size / 2)
    return np.concatenate(levels).astype(np.float32)


def map_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """(height, width) in cells of the six maps for `height` × `width` pixels: each halving rounds up."""
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
