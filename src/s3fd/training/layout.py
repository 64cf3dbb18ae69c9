"""Layout of a composed picture: few cells for large faces, many for small ones."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

ROOM = 1.5
"""Side of a cell as a multiple of its face's side, limited by `MOST_CELLS`."""

MOST_CELLS = 6
"""Maximum number of cells along a side of the output; the smallest faces get more background instead."""

VARIATION = 1.5
"""Faces of a picture are larger or smaller than the size drawn for it by up to this factor."""

BLOCK = 0.4
"""Probability that a block of cells becomes one larger cell with a larger face, from 3 × 3 cells on."""

EMPTY = 0.1
"""Probability that a cell shows only the background, if there are several cells."""


class Cell(NamedTuple):
    """A rectangle of the output in whole pixels, and the desired size of the face in it."""

    left: int
    top: int
    width: int
    height: int
    face: float


def layout(size: int, face_sizes: tuple[float, float], rng: np.random.Generator) -> list[Cell]:
    """Divide the output into non-overlapping cells; returns those that get a face, at least one."""
    low, high = (math.log(side) for side in face_sizes)
    drawn = rng.uniform(low, high)
    side = min(max(1, round(size / (ROOM * math.exp(drawn)))), MOST_CELLS)
    xs, ys = (edges(size, side, rng) for _ in range(2))
    spans = [(column, row, 1) for row in range(side) for column in range(side)]
    if side > 2 and rng.random() < BLOCK:
        span = int(rng.integers(2, side))
        left, top = (int(v) for v in rng.integers(0, side - span + 1, 2))
        outside = [(c, r, 1) for c, r, _ in spans if not (left <= c < left + span and top <= r < top + span)]
        spans = [(left, top, span), *outside]
    filled = rng.random(len(spans)) >= EMPTY
    filled[rng.integers(len(spans))] = True
    cells = []
    for column, row, span in (s for s, full in zip(spans, filled, strict=True) if full):
        log_face = drawn + math.log(VARIATION) * rng.uniform(-1, 1) + math.log(span)
        # Sizes beyond the limits are reflected, to keep them log-uniform: clipped, they would pile up there.
        log_face = max(min(log_face, 2 * high - log_face), 2 * low - log_face)
        left, top = xs[column], ys[row]
        width, height = xs[column + span] - left, ys[row + span] - top
        cells.append(Cell(left, top, width, height, math.exp(min(max(log_face, low), high))))
    return cells


def edges(length: int, parts: int, rng: np.random.Generator) -> list[int]:
    """Split `length` pixels into `parts`, each within a third of its equal share: starts, and the end."""
    inner = (np.arange(1, parts) + rng.uniform(-1 / 6, 1 / 6, parts - 1)) * length / parts
    return [0, *(int(v) for v in np.round(inner)), length]
