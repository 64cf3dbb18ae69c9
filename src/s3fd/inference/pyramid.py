"""Size ``auto``: several looks at a picture, which together find faces of every size, each of them once.

The network is at its best with faces of up to 256 pixels as it sees them; larger ones were rare in its
training, and it takes their parts for faces. So the picture is seen at several scales, its levels: from full
resolution down to a longest side of 160 pixels, where a face that fills the picture has a size that the
network knows. Each level answers for a range of sizes, and neighbouring ranges share an octave, so that a
face at a limit is not lost between two levels that measure it differently.

A level too large for one look is seen in tiles. They overlap by more than the largest face of the level, so
that memory is bounded by the tile, and every face is whole in a tile.
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
"""Longest side of the coarsest level: a face that fills the picture has 100 to 150 pixels there."""

MAX_STEP = 2.83
"""Most by which a level is larger than the next: the square root of 8 and a little, so that equal steps of
`OCTAVE` or more can always be made. A face of 256 pixels at one level has 90 to 128 at the next, and all
levels below the finest have together no more than a third of its pixels."""

LARGEST = 256
"""Longer side, as the network sees it, of the largest face that a level answers for. The bundled weights
begin to fail between 250 and 300 pixels: the anchors reach 512, but the training pictures had 640 pixels."""

OCTAVE = 2.0
"""Quotient of the sizes between which two neighbouring levels both answer for a face."""

TILE = 2048
"""Longest side of a tile as the network sees it: four megapixels, a quarter of the most that it sees at any
other size."""

CONTEXT = 64
"""Pixels, as the network sees them, that every face has around it in one of the tiles at least."""

CUT = CONTEXT / 2
"""A box nearer than this to a tile's edge may be cut off there, and is left to the neighbour, which sees
more. The other half of `CONTEXT` allows for boxes that reach further than their face."""

PART = 0.7
"""Share of a box inside a larger face from which it is a part of that face."""


@dataclass(frozen=True)
class Level:
    """A scale at which the picture is seen, and the faces that are taken from it.

    Attributes:
        scale: pixels that the network sees to one of the picture.
        over: faces are taken whose longer side is over this, in pixels of the picture.
        under: faces are taken whose longer side is under this.
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
        """(width, height) in pixels of what the network sees."""
        width, height = self.tile.size
        return max(1, round(width * self.level.scale)), max(1, round(height * self.level.scale))

    def crop(self, pixels: Pixels) -> Pixels:
        """Cut the tile out of the picture (H, W, 3), without copying it."""
        return pixels[self.tile.top : self.tile.bottom, self.tile.left : self.tile.right]

    def place(self, faces: Faces) -> Faces:
        """From pixels that the network sees to pixels of the picture."""
        offset = np.array([self.tile.left, self.tile.top] * 2, np.float32)
        placed = rescale(faces.boxes, self.seen, self.tile.size) + offset
        return replace(faces, boxes=placed)

    def answers_for(self, found: boxes.FloatArray, width: int, height: int) -> NDArray[np.bool_]:
        """Which boxes (N, 4) of a picture of `width` × `height` pixels this look sees well, shape (N,)."""
        longer = (found[:, 2:] - found[:, :2]).max(axis=1, initial=0)
        whole = self.sees_whole(found, width, height)
        seen_well: NDArray[np.bool_] = whole & (longer > self.level.over) & (longer < self.level.under)
        return seen_well

    def sees_whole(self, found: boxes.FloatArray, width: int, height: int) -> NDArray[np.bool_]:
        """Which boxes (N, 4) of a picture of `width` × `height` pixels this look's tile cannot cut, (N,)."""
        return inside(found, self.tile, CUT / self.level.scale, width, height)


def levels(width: int, height: int) -> list[Level]:
    """Levels of a picture of `width` × `height` pixels, finest first.

    The finest is the picture at its own size, without a limit; a picture whose longest side is under 640
    pixels is enlarged to that, as at ``vga``, where faces of a few pixels gain most. The coarsest has a
    longest side of 160. Those between divide the way into equal steps, none over `MAX_STEP`.
    """
    longest = max(width, height)
    finest = max(VGA, longest)
    steps = math.ceil(math.log(finest / COARSEST, MAX_STEP) - 1e-9)
    scales = [finest / longest * (COARSEST / finest) ** (i / steps) for i in range(steps + 1)]
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
    """One box a face, from what every look found in a picture of `width` × `height` pixels, best score first.

    Each look's boxes, in pixels of the picture, count where it `answers_for` them. A weaker box goes if it
    overlaps a better one by more than `iou`, or is a part of a better one that its own look could not see
    whole: an eye of a face that only a coarser level knows, half a face beside a tile's edge. A face before a
    larger one stays if it has the better score, or the same look saw both.
    """
    taken = [(look, faces[look.answers_for(faces.boxes, width, height)]) for look, faces in found]
    everything = concatenate([faces for _, faces in taken])
    kept = [faces[~_parts(look, faces, everything, width, height)] for look, faces in taken]
    merged = concatenate(kept)
    return merged[suppress(merged.scores, merged.boxes, iou)]


def _parts(look: Look, faces: Faces, others: Faces, width: int, height: int) -> NDArray[np.bool_]:
    """Which of a look's faces are parts of better ones among `others` that it could not see whole, (N,)."""
    tile = np.array([[look.tile.left, look.tile.top, look.tile.right, look.tile.bottom]], np.float32)
    near = boxes.intersection(others.boxes, tile)[:, 0] > 0
    unseen = others[near & ~look.answers_for(others.boxes, width, height)]
    area = boxes.area(faces.boxes)
    within = boxes.intersection(faces.boxes, unseen.boxes) > PART * area[:, None]
    larger = boxes.area(unseen.boxes)[None] > area[:, None]
    better = unseen.scores[None] > faces.scores[:, None]
    return np.asarray((within & larger & better).any(axis=1), dtype=np.bool_)


def concatenate(found: Sequence[Faces]) -> Faces:
    """All faces of several results with the same columns, in order; there is at least one result."""
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
