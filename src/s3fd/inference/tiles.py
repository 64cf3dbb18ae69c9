"""Tiles: overlapping parts of a large picture, such that each object lies whole in one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in its pixels: from (left, top) up to and excluding (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.right - self.left, self.bottom - self.top


def tiles(width: int, height: int, side: int, overlap: int) -> list[Tile]:
    """Cover a picture of `width` × `height` pixels with as few tiles as possible, row by row.

    No tile is wider or higher than `side`, and all have the same shape. Neighbours share `overlap` pixels or
    a few more, so that anything no longer than `overlap` lies whole in a tile. A picture that fits into one
    tile becomes a single tile.

    Raises:
        ValueError: a picture without pixels, or an `overlap` that is negative or not under `side`.
    """
    if width < 1 or height < 1 or not 0 <= overlap < side:
        raise ValueError(
            f"tiles of {side} pixels with an overlap of {overlap} cannot cover {width} × {height} pixels"
        )
    across, down = _spans(width, side, overlap), _spans(height, side, overlap)
    return [Tile(left, top, right, bottom) for top, bottom in down for left, right in across]


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Cover a line of `length` pixels with equal spans (start, end)."""
    count = max(1, -(-(length - overlap) // (side - overlap)))
    span = -(-(length + (count - 1) * overlap) // count)
    starts = [i * (length - span) // max(1, count - 1) for i in range(count)]
    return [(start, start + span) for start in starts]


def inside(boxes: FloatArray, tile: Tile, margin: float, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes (N, 4) are at least `margin` pixels away from the tile's edges, shape (N,).

    The picture has `width` × `height` pixels. Tile edges on its own edges do not count: nothing is cut off
    there that another tile would show.
    """
    left = tile.left + margin if tile.left > 0 else -np.inf
    top = tile.top + margin if tile.top > 0 else -np.inf
    right = tile.right - margin if tile.right < width else np.inf
    bottom = tile.bottom - margin if tile.bottom < height else np.inf
    within: NDArray[np.bool_] = boxes[:, 0] >= left
    within &= boxes[:, 1] >= top
    within &= boxes[:, 2] <= right
    within &= boxes[:, 3] <= bottom
    return within
