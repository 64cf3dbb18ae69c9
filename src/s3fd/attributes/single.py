"""A stream of training pictures with one face each; step n depends only on the seed and n."""

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
from s3fd.data.labels import NOT_KNOWN, LabelledPicture
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
"""Side of a cut-out in pixels; the longer side of the face takes 136 of them."""

MAX_ENLARGEMENT = 3
"""A face is enlarged at most this much: beyond it there is only blur to learn from."""

OFF_CENTRE = 32.0
"""Maximum offset of a face from the centre of its window, in pixels along each axis, if there is room."""


class Window(NamedTuple):
    """The format of training pictures of one size.

    Attributes:
        side: side of the pictures in pixels.
        faces: least and greatest geometric mean side of a face in pixels; sizes are drawn log-uniformly.
        source: least geometric mean side, in pixels of its own picture, of a face to show.
        share: the batch size is divided by this and rounded up, because large pictures take long.
    """

    side: int
    faces: tuple[float, float]
    source: float
    share: int = 1


WINDOWS = (Window(128, (22, 80), 0), Window(224, (64, 200), 48), Window(416, (160, 400), 80, share=4))
"""Used in turn, one per step. Small faces get a small window: room for large ones would be wasted work."""


CENTRAL = 0.3
"""Maximum distance between the centre of a face and that of an anchor that learns from it, along each axis,
as a share of the face's side. Anchors further out match the face as well, but are hardly ever the ones whose
prediction is used."""

SPACE = 0.55
"""Minimum distance from the centre of a face to the window's edge, in sides of the face, if it has room."""


class _Show(NamedTuple):
    """A window, the faces shown in it as (picture, face) indices, and its anchors (A, 4)."""

    window: Window
    faces: list[tuple[int, int]]
    anchors: FloatArray


class SingleStream:
    """Labelled faces at many sizes, one per picture, each over a part of another face's picture.

    Few composed pictures (`s3fd.attributes.composed`) have room for a face of 100 pixels or more. Here, two
    steps in three show large faces. Each face is cut out the first time it is shown and then stays in memory
    (20 kB).
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
            ValueError: the labels are of whole pictures, which do not locate the face, or there is no label.
        """
        self._items, self._column, self._seed = items, column, seed
        self._tilt, self._flip, self._distort = tilt, flip, distort
        self._faces = [(i, j) for i, item in enumerate(items) for j in _labelled(item, column)]
        if not self._faces:
            raise ValueError(f"no face has a label for {column}")
        self._shows = [show for window in WINDOWS if (show := self._in(window)).faces]
        self._cut: dict[int, dict[int, CutOut]] = {}
        self._left_out: list[str] = []

    def batches(self, start: int, stop: int, batch: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`, without faces whose picture cannot be read.

        A batch may therefore have fewer than `batch` pictures, or none. The window's `share` reduces their
        number as well.
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
        """Select the faces that are large enough for `window`."""
        faces = [(i, j) for i, j in self._faces if _side(self._items[i], j) >= window.source]
        return _Show(window, faces, anchor_ops.anchors(anchor_ops.map_sizes(window.side, window.side)))

    def _example(
        self, picture: int, face: int, window: Window, anchors: FloatArray, rng: np.random.Generator
    ) -> Example | None:
        """Make the example of a face in a window; None if the face or its background cannot be read."""
        item = self._items[picture]
        cut, other = self._of(picture).get(face), self._any(rng)
        if cut is None or other is None:
            return None
        shown, box = self._show(cut, other, window, MAX_ENLARGEMENT * _side(item, face), rng)
        targets = _targets(box, item.labels[self._column][face : face + 1], anchors)
        return shown, targets, str(item.path)

    def _any(self, rng: np.random.Generator) -> CutOut | None:
        """Draw a random face as a background; None if it cannot be read."""
        picture, face = self._faces[int(rng.integers(len(self._faces)))]
        return self._of(picture).get(face)

    def _of(self, picture: int) -> dict[int, CutOut]:
        """Return the faces of a picture by their row in its labels; empty if it cannot be read."""
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
        """Draw a face of at most `most` pixels over a part of `other`: picture (S, S, 3) and box (1, 4)."""
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
        middle = ((side - 1) / 2,) * 2  # in OpenCV, pixel 0 is centred at 0
        matrix = cv2.getRotationMatrix2D(middle, angle, scale * SIDE / side)
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
    """Give the `label` (1,) of the face in `box` (1, 4) to matching `anchors` (A, 4); return targets (A,).

    Only matching anchors near the centre of the face get it (`CENTRAL`), or all that match if none is near.
    """
    targets = label_anchors(box, np.zeros(1, bool), label, anchors)
    off = np.abs(anchors[:, :2] + anchors[:, 2:] - box[:, :2] - box[:, 2:]) / 2
    central = (off <= CENTRAL * (box[:, 2:] - box[:, :2])).all(axis=1)
    chosen = central & (targets != NOT_KNOWN)
    return np.where(central, targets, NOT_KNOWN) if chosen.any() else targets


def _labelled(item: LabelledPicture, column: str) -> list[int]:
    """Return the indices of the faces of a picture that have a label.

    Raises:
        ValueError: the labels are of whole pictures.
    """
    if item.boxes is None:
        raise ValueError("single faces need labels with boxes (columns x1, y1, x2, y2)")
    return [int(i) for i in np.flatnonzero(item.labels[column] != NOT_KNOWN)]


def _side(item: LabelledPicture, face: int) -> float:
    """Return the geometric mean of the sides of a face's box, in pixels of its own picture."""
    assert item.boxes is not None
    return math.sqrt(float(box_ops.area(item.boxes[face : face + 1])[0]))


def _piece(other: CutOut, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random corner (side, side, 3) of a cut-out, mostly hair, clothes and walls rather than face.

    If `side` is larger than the cut-out, the whole cut-out is enlarged.
    """
    pixels = other.decode()
    if side > SIDE:
        return np.asarray(cv2.resize(pixels, (side, side)), np.uint8)
    left, top = (rng.integers(2, size=2) * (SIDE - side)).tolist()
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
