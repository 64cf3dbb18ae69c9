"""The stream of training pictures with one face each: step n is a function of the seed and n alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.attributes.stream import Batch, Example, side_by_side
from s3fd.boxes import FloatArray
from s3fd.data.labels import INVALID, NOT_KNOWN, LabelledPicture
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training import cutouts
from s3fd.training.augmentation import distort
from s3fd.training.composer import NONE_INSIDE
from s3fd.training.composition import LARGEST_TILT
from s3fd.training.cutouts import CutOut
from s3fd.training.dataset import shuffled
from s3fd.training.targets import label_anchors

SIDE = 272
"""Side of a cut-out in pixels: a face has 136 there."""

MAX_ENLARGEMENT = 3
"""A face is enlarged at most this much: beyond it there is only blur to learn from."""

OFF_CENTRE = 32.0
"""Pixels by which a face may lie off the middle, in each direction, where there is room."""


class Window(NamedTuple):
    """Training pictures of one size.

    Attributes:
        side: in pixels.
        faces: least and greatest geometric mean side of a face in them; the size drawn is log-uniform.
        source: pixels that a face needs in its own picture to be shown in them.
        share: one of so many of a batch's pictures is made; large ones take long.
    """

    side: int
    faces: tuple[float, float]
    source: float
    share: int = 1


WINDOWS = (Window(128, (22, 80), 0), Window(224, (64, 200), 48), Window(416, (160, 400), 80, share=4))
"""Taken in turn, a step each: where faces are small, the room for large ones would be computed in vain."""


CENTRAL = 0.3
"""Sides of a face by which the middle of an anchor that learns from it may lie off its middle, in each
direction. Those further out answer for it as well, but are hardly ever the ones that are asked."""

SPACE = 0.55
"""Sides of a face from its middle to the window's edge, at least, where the window has so many."""


class _Show(NamedTuple):
    """The faces that are shown in windows of a size, by picture and number, and the anchors (A, 4) there."""

    window: Window
    faces: list[tuple[int, int]]
    anchors: FloatArray


class SingleStream:
    """Labelled faces at many sizes, each by itself over a piece of another's picture.

    Of composed pictures (`s3fd.attributes.composed`) few have room for a face of 100 pixels and more. Here
    two steps of three are of such. A face is cut out when it is shown first, and stays in memory, 20 kB each.
    """

    def __init__(
        self,
        items: Sequence[LabelledPicture],
        column: str,
        seed: int,
        *,
        tilt: float,
        flip: bool,
        distort: bool,
    ) -> None:
        """Stream the faces of `items` that have a label in `column`.

        Raises:
            ValueError: labels of whole pictures, which do not say where the face is; no label.
        """
        self._items, self._column, self._seed = items, column, seed
        self._tilt, self._flip, self._distort = tilt, flip, distort
        self._faces = [(i, j) for i, item in enumerate(items) for j in _labelled(item, column)]
        if not self._faces:
            raise ValueError(f"no face has a label of {column}")
        self._shows = [show for window in WINDOWS if (show := self._in(window)).faces]
        self._cut: dict[int, dict[int, CutOut]] = {}
        self._left_out: list[str] = []

    def batches(self, start: int, stop: int, batch: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`; a face whose picture cannot be read is left out.

        So a batch may have fewer pictures, and even none; it has fewer where the window's `share` says so.
        """
        for step in range(start, stop):
            which, turn = step % len(self._shows), step // len(self._shows)
            window, faces, anchors = self._shows[which]
            rng = np.random.default_rng((self._seed, step))
            count = math.ceil(batch / window.share)
            numbers = range(turn * count, (turn + 1) * count)
            chosen = [faces[shuffled(n, len(faces), self._seed + which)] for n in numbers]
            made = [self._example(picture, face, window, anchors, rng) for picture, face in chosen]
            left_out, self._left_out = self._left_out, []
            examples = [example for example in made if example is not None]
            yield side_by_side(examples, window.side, len(anchors), left_out)

    def _in(self, window: Window) -> _Show:
        """What is shown in the windows of a size."""
        faces = [(i, j) for i, j in self._faces if _side(self._items[i], j) >= window.source]
        return _Show(window, faces, anchor_ops.anchors(anchor_ops.map_sizes(window.side, window.side)))

    def _example(
        self, picture: int, face: int, window: Window, anchors: FloatArray, rng: np.random.Generator
    ) -> Example | None:
        """A face in a window with `anchors`; None if it, or what is to lie around it, cannot be read."""
        item = self._items[picture]
        cut, other = self._of(picture).get(face), self._any(rng)
        if cut is None or other is None:
            return None
        shown, box = self._show(cut, other, window, MAX_ENLARGEMENT * _side(item, face), rng)
        targets = _targets(box, item.labels[self._column][face : face + 1], anchors)
        return shown, targets, str(item.path)

    def _any(self, rng: np.random.Generator) -> CutOut | None:
        """A face to be seen a piece of."""
        picture, face = self._faces[int(rng.integers(len(self._faces)))]
        return self._of(picture).get(face)

    def _of(self, picture: int) -> dict[int, CutOut]:
        """The faces of a picture by their number in the table; none if it cannot be read."""
        if picture not in self._cut:
            self._cut[picture] = self._read(self._items[picture])
        return self._cut[picture]

    def _read(self, item: LabelledPicture) -> dict[int, CutOut]:
        try:
            pixels = pictures.read(item.path)
        except PictureError as error:
            self._left_out.append(str(error))
            return {}
        assert item.boxes is not None
        boxes = box_ops.clip(item.boxes, pixels.shape[1], pixels.shape[0])
        inside = [face for face in _labelled(item, self._column) if box_ops.area(boxes[face][None])[0] > 1]
        if not inside:
            self._left_out.append(f"{item.path}: {NONE_INSIDE}")
        return {face: cutouts.cut_out(pixels, boxes[face], SIDE) for face in inside}

    def _show(
        self, cut: CutOut, other: CutOut, window: Window, most: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], FloatArray]:
        """A face of at most `most` pixels over a piece of another's picture (S, S, 3), and its box (1, 4)."""
        least, greatest = np.log(window.faces)
        face = min(math.exp(rng.uniform(least, greatest)), most)
        scale = face / cut.side
        room = max(0.0, min(OFF_CENTRE, window.side / 2 - SPACE * face))
        centre = window.side / 2 + rng.uniform(-room, room, 2)
        angle = rng.uniform(-LARGEST_TILT, LARGEST_TILT) if rng.random() < self._tilt else 0.0
        pixels = cutouts.blur(cut.decode(), rng)
        if self._flip and rng.random() < 0.5:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        if self._distort:
            pixels = distort(pixels, rng)
        side = max(1, min(SIDE, round(SIDE * scale)))  # linear interpolation alone would skip pixels
        pixels = np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale * SIDE / side)
        matrix = matrix + np.array([[0, 0, centre[0] - side / 2], [0, 0, centre[1] - side / 2]])
        canvas = cv2.warpAffine(
            pixels,
            matrix,
            (window.side,) * 2,
            dst=_piece(other, window.side, rng),
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        half = np.array(cut.size) * scale / 2
        box = np.concatenate([centre - half, centre + half])[None].astype(np.float32)
        return np.asarray(canvas, np.uint8), box_ops.clip(box, window.side, window.side)


def _targets(box: FloatArray, label: NDArray[np.int64], anchors: FloatArray) -> NDArray[np.int64]:
    """The label (1,) of the face in `box` (1, 4), for those of `anchors` (A, 4) that are asked for it."""
    targets = label_anchors(box, np.zeros(1, bool), label, anchors)
    off = np.abs(anchors[:, :2] + anchors[:, 2:] - box[:, :2] - box[:, 2:]) / 2
    central = (off <= CENTRAL * (box[:, 2:] - box[:, :2])).all(axis=1)
    chosen = central & (targets != NOT_KNOWN)
    return np.where(central, targets, NOT_KNOWN) if chosen.any() else targets


def _labelled(item: LabelledPicture, column: str) -> list[int]:
    """Numbers of the faces of a picture that have a label.

    Raises:
        ValueError: labels of whole pictures.
    """
    if item.boxes is None:
        raise ValueError("single faces need labels of boxes (columns x1, y1, x2, y2)")
    valid = np.array(item.extra.get(INVALID, [""] * len(item.boxes))) != "1"
    return [int(i) for i in np.flatnonzero((item.labels[column] != NOT_KNOWN) & valid)]


def _side(item: LabelledPicture, face: int) -> float:
    """Geometric mean of the sides of a face's box, in pixels of its own picture."""
    assert item.boxes is not None
    return math.sqrt(float(box_ops.area(item.boxes[face : face + 1])[0]))


def _piece(other: CutOut, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A corner (side, side, 3) of a cut-out: hair, clothes and walls more than the face.

    Where the cut-out is smaller, it is all of it.
    """
    pixels = other.decode()
    if side > SIDE:
        return np.asarray(cv2.resize(pixels, (side, side)), np.uint8)
    left, top = (rng.integers(2, size=2) * (SIDE - side)).tolist()
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
