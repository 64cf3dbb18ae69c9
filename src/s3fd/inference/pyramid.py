"""Size ``auto``: several looks at a picture, which together find faces of every size, each of them once.

The network works best on faces of up to 256 pixels as it sees them. Larger ones were rare in its training,
and it mistakes their parts for faces. It therefore sees the picture at several scales, called levels: from
full resolution down to a longest side of 160 pixels, where a face that fills the picture has a size that the
network knows. Each level is responsible for a range of face sizes. Neighbouring ranges share an octave, so
that a face at a limit is not lost between two levels that measure it differently.

A level that is too large for one look is seen in tiles, so that the tile bounds the memory. Tiles overlap by
more than the largest face of the level, so that every face lies whole in a tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.faces import Faces
from s3fd.inference.pictures import Pixels
from s3fd.inference.resize import VGA, rescale
from s3fd.inference.suppression import IOU, suppress
from s3fd.inference.tiles import Tile, inside, tiles

COARSEST = 160
"""Longest side of the coarsest level in pixels: a face that fills the picture has 100 to 150 pixels there."""

MAX_STEP = 2.83
"""Largest ratio of the scales of a level and the next coarser one: slightly over the square root of 8, so
that equal steps of at least `OCTAVE` are always possible. A face of 256 pixels at one level has 90 to 128 at
the next, and all levels below the finest have together less than half of its pixels."""

LARGEST = 256
"""Longer side, in pixels as the network sees it, of the largest face that a level is responsible for. The
bundled weights begin to fail between 250 and 300 pixels: the anchors reach 512, but the training pictures had
640 pixels."""

OCTAVE = 2.0
"""Ratio of the largest to the smallest face size for which two neighbouring levels are both responsible."""

TILE = 2048
"""Longest side of a tile, in pixels as the network sees it. A tile has at most four megapixels, a quarter of
the limit at any other size."""

CONTEXT = 64
"""Margin, in pixels as the network sees them, that every face has around it in at least one tile."""

CUT = CONTEXT / 2
"""A box closer than this to a tile's edge may be cut off there, and is left to the neighbouring tile, which
sees more of it. The other half of `CONTEXT` allows for boxes that extend beyond their face."""

PART = 0.7
"""Share of a box's area inside a larger face above which it counts as a part of that face."""


@dataclass(frozen=True)
class Level:
    """A scale at which the network sees the picture, and the range of face sizes taken from it.

    Attributes:
        scale: pixels that the network sees per pixel of the picture, along each axis.
        over: faces are taken if their longer side is over this, in pixels of the picture.
        under: faces are taken if their longer side is under this, in pixels of the picture.
    """

    scale: float
    over: float = 0.0
    under: float = math.inf


@dataclass(frozen=True)
class Look:
    """A part of the picture at one level: what the network sees at once."""

    level: Level
    tile: Tile

    @property
    def seen(self) -> tuple[int, int]:
        """(width, height) of what the network sees, in pixels."""
        width, height = self.tile.size
        return max(1, round(width * self.level.scale)), max(1, round(height * self.level.scale))

    def crop(self, pixels: Pixels) -> Pixels:
        """Cut the tile out of the picture (H, W, 3), without copying it."""
        return pixels[self.tile.top : self.tile.bottom, self.tile.left : self.tile.right]

    def place(self, faces: Faces) -> Faces:
        """Convert boxes from pixels that the network sees to pixels of the picture."""
        offset = np.array([self.tile.left, self.tile.top] * 2, np.float32)
        placed = rescale(faces.boxes, self.seen, self.tile.size) + offset
        return replace(faces, boxes=placed)

    def answers_for(self, found: boxes.FloatArray, width: int, height: int) -> NDArray[np.bool_]:
        """Which boxes (N, 4) this look is responsible for, shape (N,).

        It sees them whole, and their size is in its level's range. The picture has `width` × `height` pixels.
        """
        longer = (found[:, 2:] - found[:, :2]).max(axis=1, initial=0)
        whole = self.sees_whole(found, width, height)
        seen_well: NDArray[np.bool_] = whole & (longer > self.level.over) & (longer < self.level.under)
        return seen_well

    def sees_whole(self, found: boxes.FloatArray, width: int, height: int) -> NDArray[np.bool_]:
        """Which boxes (N, 4) this look's tile cannot cut off, shape (N,).

        The picture has `width` × `height` pixels.
        """
        return inside(found, self.tile, CUT / self.level.scale, width, height)


def levels(width: int, height: int) -> list[Level]:
    """Levels of a picture of `width` × `height` pixels, finest first.

    The finest level is the picture at its own size, without a limit. A picture whose longest side is under
    640 pixels is enlarged to that, as at ``vga``, which helps most with faces of a few pixels. The coarsest
    level has a longest side of 160 pixels. Adjacent levels differ by equal ratios, none over `MAX_STEP`, but
    there is one more level halfway between the two coarsest: it costs little, and one more look at a large
    face makes its attributes more certain.
    """
    longest = max(width, height)
    finest = max(VGA, longest)
    steps = math.ceil(math.log(finest / COARSEST, MAX_STEP) - 1e-9)
    sides = [finest * (COARSEST / finest) ** (i / steps) for i in range(steps + 1)]
    sides.insert(-1, math.sqrt(sides[-2] * sides[-1]))
    scales = [side / longest for side in sides]
    under = [LARGEST / scale for scale in scales[:-1]]
    over = [limit / OCTAVE for limit in under]
    return [Level(*level) for level in zip(scales, [0.0, *over], [*under, math.inf], strict=True)]


def looks(width: int, height: int) -> list[Look]:
    """All looks at a picture of `width` × `height` pixels, level by level, finest first."""
    return [
        Look(level, tile)
        for level in levels(width, height)
        for tile in tiles(
            width, height, int(TILE / level.scale), math.ceil((LARGEST + 2 * CONTEXT) / level.scale)
        )
    ]


def merge(found: Sequence[tuple[Look, Faces]], width: int, height: int, iou: float = IOU) -> Faces:
    """Merge what all looks found in a picture of `width` × `height` pixels into one box per face.

    Boxes are in pixels of the picture; the result has the best score first. A look's box counts only if the
    look `answers_for` it. A box is removed if its IoU with a better one is over `iou`, or if it is a part of
    a better, larger one that its own look does not answer for: an eye of a face that only a coarser level can
    see, or half a face at a tile's edge. A face in front of a larger one stays if it has the better score, or
    if the same look answers for both.
    """
    taken = [(look, faces[look.answers_for(faces.boxes, width, height)]) for look, faces in found]
    everything = concatenate([faces for _, faces in taken])
    kept = [faces[~_parts(look, faces, everything, width, height)] for look, faces in taken]
    merged = concatenate(kept)
    return merged[suppress(merged.scores, merged.boxes, iou)]


def _parts(look: Look, faces: Faces, others: Faces, width: int, height: int) -> NDArray[np.bool_]:
    """Which of a look's faces are parts of better ones among `others` that it does not answer for, (N,)."""
    tile = np.array([[look.tile.left, look.tile.top, look.tile.right, look.tile.bottom]], np.float32)
    near = boxes.intersection(others.boxes, tile)[:, 0] > 0
    unseen = others[near & ~look.answers_for(others.boxes, width, height)]
    area = boxes.area(faces.boxes)
    within = boxes.intersection(faces.boxes, unseen.boxes) > PART * area[:, None]
    larger = boxes.area(unseen.boxes)[None] > area[:, None]
    better = unseen.scores[None] > faces.scores[:, None]
    return np.asarray((within & larger & better).any(axis=1), dtype=np.bool_)


def concatenate(found: Sequence[Faces]) -> Faces:
    """Concatenate at least one result, all with the same columns, in order."""
    vectors = [faces.embeddings for faces in found if faces.embeddings is not None]
    columns = {
        name: np.concatenate([faces.attributes[name] for faces in found]) for name in found[0].attributes
    }
    return Faces(
        np.concatenate([faces.boxes for faces in found]),
        np.concatenate([faces.scores for faces in found]),
        columns,
        np.concatenate(vectors) if vectors else None,
    )
