"""Things in the way: pieces of other pictures pasted over a training picture, many of them beside its faces.

A few hundred photographs show faces with the same few things around them. What tells faces from hats, horns,
hands and lettering that no picture shows is to have seen them between things of any form, colour and texture,
and such things by themselves. After random erasing (Zhong et al., AAAI 2020) and CutMix (Yun et al., ICCV
2019), but with faces kept: none is pasted, and of none is so much covered that it could not be told.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.training.augmentation import Labelled, Picture, distort

MOST = 16
"""Things that lie anywhere in a picture, at most."""

BESIDE = 0.4
"""Probability that a face has a thing beside it."""

SIZES = (8.0, 160.0)
"""Sides of things that lie anywhere, in pixels; log-uniform."""

TO_A_FACE = (0.4, 1.6)
"""Side of a thing beside a face, to the face's."""

MOST_COVERED = 0.4
"""Share of a face that things may cover."""

LEAST = 4
"""Side in pixels below which a thing is nothing."""

TRIES = 4
"""Places in another picture that are looked at for a piece without a face."""


def add_objects(item: Labelled, draw: Callable[[], Labelled], rng: np.random.Generator) -> Labelled:
    """Paste pieces of one picture that `draw` gives over `item`; its boxes stay as they are."""
    source = draw()
    picture = item.picture.copy()
    covered = np.zeros(picture.shape[:2], np.float32)
    for x, y, side in _places(item, rng):
        piece = _piece(source, side, rng)
        if piece is not None:
            _paste(picture, covered, item.boxes, piece, (x, y), rng)
    return Labelled(picture, item.boxes, item.ignored)


def _places(item: Labelled, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """Centres and sides of things in pixels: beside faces, and anywhere."""
    places = []
    for x1, y1, x2, y2 in item.boxes[rng.random(len(item.boxes)) < BESIDE]:
        side = math.sqrt((x2 - x1) * (y2 - y1)) * rng.uniform(*TO_A_FACE)
        angle = rng.uniform(0, 2 * math.pi)
        away = rng.uniform(0.7, 1.1)
        x = (x1 + x2) / 2 + math.cos(angle) * away * (x2 - x1 + side) / 2
        y = (y1 + y2) / 2 + math.sin(angle) * away * (y2 - y1 + side) / 2
        places.append((x, y, round(side)))
    height, width = item.picture.shape[:2]
    for _ in range(rng.integers(MOST + 1)):
        side = math.exp(rng.uniform(*np.log(SIZES)))
        places.append((rng.uniform(0, width), rng.uniform(0, height), round(side)))
    return places


def _piece(source: Labelled, side: int, rng: np.random.Generator) -> Picture | None:
    """A square of `side` pixels with what a part of `source` shows, but no face; None if none was found."""
    height, width = source.picture.shape[:2]
    for _ in range(TRIES):
        taken = round(min(height, width, side * math.exp(rng.uniform(-0.7, 1.4))))
        if side < LEAST or taken < LEAST:
            return None
        x, y = int(rng.integers(width - taken + 1)), int(rng.integers(height - taken + 1))
        x1, y1, x2, y2 = source.boxes.T
        if ((x1 < x + taken) & (x2 > x) & (y1 < y + taken) & (y2 > y)).any():
            continue
        part = source.picture[y : y + taken, x : x + taken]
        method = cv2.INTER_AREA if taken > side else cv2.INTER_LINEAR
        scaled = np.asarray(cv2.resize(part, (side, side), interpolation=method), np.uint8)
        return distort(scaled, rng)
    return None


def _outline(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A form (side, side) without a name, 1 inside and 0 outside: a polygon around the middle."""
    corners = int(rng.integers(3, 12))
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
    radii = rng.uniform(0.6, 1, corners) * side / 2
    stretched = np.stack([np.cos(angles), np.sin(angles) * rng.uniform(0.5, 1)], axis=1)
    points = np.round(side / 2 + radii[:, None] * stretched).astype(np.int32)
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [points], 1.0)
    return np.asarray(cv2.blur(mask, (3, 3)), np.float32)  # edges of photographs are not sharp


def _paste(
    picture: Picture,
    covered: NDArray[np.float32],
    boxes: FloatArray,
    piece: Picture,
    centre: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Lay `piece` over `picture`, in a form of its own, unless that covered too much of a face."""
    side = len(piece)
    left, top = (round(c - side / 2) for c in centre)
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(picture.shape[1], left + side), min(picture.shape[0], top + side)
    if x1 >= x2 or y1 >= y2:
        return
    seen = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    mask = _outline(side, rng)[seen]
    before = covered[y1:y2, x1:x2].copy()
    covered[y1:y2, x1:x2] = np.maximum(before, mask)
    near = (boxes[:, 0] < x2) & (boxes[:, 2] > x1) & (boxes[:, 1] < y2) & (boxes[:, 3] > y1)
    for a, b, c, d in np.round(boxes[near]).astype(int):
        face = covered[b : max(d, b + 1), a : max(c, a + 1)]
        if face.size and face.mean() > MOST_COVERED:
            covered[y1:y2, x1:x2] = before
            return
    under = picture[y1:y2, x1:x2]
    under[:] = np.round(under + mask[..., None] * (piece[seen].astype(np.float32) - under)).astype(np.uint8)
