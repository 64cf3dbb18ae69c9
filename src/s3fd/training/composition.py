"""Composition of training pictures from labelled faces: crops at every size, pasted over real backgrounds.

Face crops come at one size, but every detection layer has to learn to predict attributes. The output is
therefore divided into cells, few for large faces and many for small ones. Each cell receives one crop, scaled
so that its face has the desired size. All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.labels import NOT_KNOWN
from s3fd.inference.resize import FILL_BGR
from s3fd.training import augmentation
from s3fd.training.augmentation import MIN_FACE, Labelled, Picture, Span, Window
from s3fd.training.layout import Cell, layout

IntArray = NDArray[np.int64]

MAX_ENLARGEMENT = 4
"""Largest factor by which a crop is enlarged: beyond it, there is only blur to learn from."""

DEGRADED = 0.2
"""Probability that a crop is degraded, so that low-quality pictures occur at every size."""

OVERHANG = 0.07
"""Fraction of a face that its cell may cut off along each axis: 0.93² = 86 % of the box remain visible."""

LARGEST_TILT = 20.0
"""Largest angle, in degrees, by which a crop is rotated."""

HIDDEN = (0.05, 0.25)
"""Range of the hidden fraction of a face's box (random erasing, Zhong et al., AAAI 2020)."""

CERTAIN, GONE = 0.5, 0.15
"""A face beside the main one is ignored below the first visible fraction, and dropped below the second."""


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """A picture in memory with attribute labels for its faces.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        boxes: (N, 4) float32, xyxy in pixels of the picture, inside it, each with positive area.
        labels: for each attribute, (N,) int64: each face's class or `NOT_KNOWN`.
        ignored: (N,) bool, True for a face whose classes or exact position are uncertain.
    """

    picture: Picture
    boxes: FloatArray
    labels: dict[str, IntArray]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Composition:
    """Composition policy: which sizes faces have, and what lies under them.

    Attributes:
        size: side of the square output in pixels.
        face_sizes: smallest and largest geometric mean side of a face in pixels. The size drawn for a picture
            is log-uniform, so that every octave gets equally many pictures and about equally many pixels. A
            face can be smaller than drawn: it fits its cell and is not enlarged beyond `MAX_ENLARGEMENT`.
        distort: whether colours are distorted, separately for each crop and for the background.
        background: probability that a real picture lies under the faces, if there are any to draw from;
            otherwise the background is `FILL_BGR` or a blur of the colours of one of the crops.
        tilt: probability that a crop is rotated by up to `LARGEST_TILT`.
        hide: probability that part of a face is hidden under one colour.
        flip: whether crops are mirrored, with a probability of 0.5.
    """

    size: int = 320
    face_sizes: tuple[float, float] = (16, 400)
    distort: bool = True
    background: float = 0.5
    tilt: float = 0.0
    hide: float = 0.0
    flip: bool = True

    def __call__(
        self,
        draw: Callable[[], LabelledFaces],
        draw_background: Callable[[], Labelled] | None,
        rng: np.random.Generator,
    ) -> LabelledFaces:
        """Make one picture of `size` × `size`, with labels for every attribute of the crops in it.

        `draw` returns the next picture. Its main face is chosen among those with a label, and the picture is
        scaled and cropped to show that face; other faces that remain visible are kept. `draw_background`
        returns a picture whose faces, if they remain visible, are ignored in the result.

        Raises:
            ValueError: `draw` returned a picture in which all faces are ignored, or that has none.
        """
        cells = layout(self.size, self.face_sizes, rng)
        crops = [self._vary(draw(), rng) for _ in cells]
        backdrop = self._backdrop(crops[0].picture, draw_background, rng)
        pasted = [
            _paste(backdrop.picture, crop, cell, self.distort, self.flip, rng)
            for crop, cell in zip(crops, cells, strict=True)
        ]
        areas = np.array([p.area for p in pasted], np.float32)
        covered = box_ops.intersection(backdrop.boxes, areas).sum(axis=1)  # cells do not overlap
        under = backdrop.boxes[covered <= box_ops.area(backdrop.boxes) / 2]
        return _join(backdrop.picture, [p.faces for p in pasted], under)

    def _vary(self, crop: LabelledFaces, rng: np.random.Generator) -> LabelledFaces:
        """Rotate a crop and hide parts of its faces, with the policy's probabilities."""
        if self.tilt and rng.random() < self.tilt:
            crop = _tilt(crop, rng.uniform(-LARGEST_TILT, LARGEST_TILT))
        if self.hide:
            crop = _hide(crop, rng.random(len(crop.boxes)) < self.hide, rng)
        return crop

    def _backdrop(
        self, crop: Picture, draw_background: Callable[[], Labelled] | None, rng: np.random.Generator
    ) -> Labelled:
        """Make the background, as a picture that may be written to."""
        output = (self.size, self.size)
        if draw_background is not None and rng.random() < self.background:
            item = draw_background()
            window = augmentation.paper_window(item, 1.0, rng)
            picture, part = _halve(item.picture, self.size / window.width)
            smaller = Window(*(v * part for v in (window.left, window.top, window.width, window.height)))
            item = augmentation.cut(
                Labelled(picture, item.boxes * np.float32(part), item.ignored), smaller, output
            )
            item = augmentation.flip(item) if rng.random() < 0.5 else item
            picture = augmentation.distort(item.picture, rng) if self.distort else item.picture
            return Labelled(picture, item.boxes, item.ignored)
        if rng.random() < 0.5:
            picture = np.full((self.size, self.size, 3), FILL_BGR, np.uint8)
        else:  # no face remains recognisable in 4 × 4 pixels
            few = cv2.resize(crop, (4, 4), interpolation=cv2.INTER_AREA)
            picture = np.asarray(cv2.resize(few, output, interpolation=cv2.INTER_CUBIC), np.uint8)
        return Labelled(picture, np.zeros((0, 4), np.float32), np.zeros(0, bool))


def _tilt(crop: LabelledFaces, angle: float) -> LabelledFaces:
    """Rotate a crop by `angle` degrees, unless that would move a face's centre out of the picture."""
    picture, boxes = augmentation.turn(crop.picture, crop.boxes, angle)
    width, height = picture.shape[1::-1]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    if not ((centres > 0) & (centres < (width, height))).all():
        return crop
    return LabelledFaces(picture, box_ops.clip(boxes, width, height), crop.labels, crop.ignored)


def _hide(crop: LabelledFaces, chosen: NDArray[np.bool_], rng: np.random.Generator) -> LabelledFaces:
    """Hide part of each of the `chosen` faces (N,) under a rectangle of one colour."""
    picture = crop.picture.copy() if chosen.any() else crop.picture
    for x1, y1, x2, y2 in crop.boxes[chosen].tolist():
        share, aspect = rng.uniform(*HIDDEN), math.exp(rng.uniform(-math.log(3), math.log(3)))
        width = min(1.0, math.sqrt(share * aspect)) * (x2 - x1)
        height = min(1.0, math.sqrt(share / aspect)) * (y2 - y1)
        left, top = rng.uniform(x1, x2 - width), rng.uniform(y1, y2 - height)
        area = slice(round(top), round(top + height)), slice(round(left), round(left + width))
        picture[area] = rng.integers(0, 256, 3)
    return LabelledFaces(picture, crop.boxes, crop.labels, crop.ignored)


class _Pasted(NamedTuple):
    """A crop's faces, in pixels of the output, and the rectangle (xyxy) of the output that it fills."""

    faces: LabelledFaces
    area: tuple[int, int, int, int]


def _paste(
    canvas: Picture,
    crop: LabelledFaces,
    cell: Cell,
    distorted: bool,
    flipped: bool,
    rng: np.random.Generator,
) -> _Pasted:
    """Scale a crop, place it in its cell so that its main face is inside, and write it to `canvas`."""
    x1, y1, x2, y2 = (float(v) for v in crop.boxes[_main_face(crop, rng)])
    own = math.sqrt((x2 - x1) * (y2 - y1))
    most = min(cell.width / (x2 - x1), cell.height / (y2 - y1)) / (1 - OVERHANG)
    scale = min(cell.face / own, MAX_ENLARGEMENT, most)
    picture, part = _halve(crop.picture, scale)
    x = _span(x1 * part, x2 * part, cell.width, scale / part, picture.shape[1], rng)
    y = _span(y1 * part, y2 * part, cell.height, scale / part, picture.shape[0], rng)
    shown = picture[y.source : y.source + y.length, x.source : x.source + x.length]
    patch = np.asarray(cv2.resize(shown, (x.target, y.target), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < DEGRADED:
        patch = _degrade(patch, own * scale, rng)
    if distorted:
        patch = augmentation.distort(patch, rng)
    factor = np.array([x.scale, y.scale] * 2, np.float32)
    boxes = (crop.boxes * np.float32(part) - np.array([x.source, y.source] * 2, np.float32)) * factor
    start = x.start
    # The whole cell is mirrored, so that what its edge cuts off stays at an edge.
    if rng.random() < 0.5 and flipped:
        patch, boxes = patch[:, ::-1], box_ops.flip(boxes, x.target)
        start = cell.width - x.start - x.target
    left, top = cell.left + start, cell.top + y.start
    canvas[top : top + y.target, left : left + x.target] = patch
    faces = _visible(LabelledFaces(canvas, boxes, crop.labels, crop.ignored), (x.target, y.target))
    moved = faces.boxes + np.array([left, top] * 2, np.float32)
    area = (left, top, left + x.target, top + y.target)
    return _Pasted(LabelledFaces(canvas, moved, faces.labels, faces.ignored), area)


def _halve(picture: Picture, scale: float) -> tuple[Picture, float]:
    """Shrink a picture to 1/2, 1/4, … before it is scaled by `scale`; returns it with that factor.

    The factor that remains exceeds 1/2, where linear interpolation uses every pixel. This is five times
    faster than averaging over areas. An odd last row or column is dropped, so that positions are halved
    exactly.
    """
    part = 1.0
    while scale <= part / 2 and min(picture.shape[:2]) > 1:
        height, width = (n // 2 for n in picture.shape[:2])
        even = picture[: 2 * height, : 2 * width]
        picture = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        part /= 2
    return picture, part


def reduced(crop: LabelledFaces, largest: float) -> LabelledFaces:
    """Shrink a picture to 1/2, 1/4, … while the faces that it can be drawn for have `largest` pixels or more.

    `_paste` would shrink it in the same way each time. A photograph of 12 megapixels takes 36 MB.
    """
    least = math.sqrt(box_ops.area(crop.boxes[_main_faces(crop)]).min())
    picture, part = _halve(crop.picture, largest / least)
    boxes = box_ops.clip(crop.boxes * np.float32(part), *picture.shape[1::-1])
    return LabelledFaces(picture, boxes, crop.labels, crop.ignored)


def _main_face(crop: LabelledFaces, rng: np.random.Generator) -> int:
    """Choose the face that a crop has to show."""
    return int(rng.choice(_main_faces(crop)))


def _main_faces(crop: LabelledFaces) -> IntArray:
    """Return the indices of the faces that a crop can be drawn for: those with a label, if there are any."""
    faces = np.flatnonzero(~crop.ignored)
    if not len(faces):
        raise ValueError("composed pictures need source pictures with at least one face")
    known = np.any([labels[faces] != NOT_KNOWN for labels in crop.labels.values()], axis=0)
    return faces[known] if known.any() else faces


def _span(
    face_start: float, face_end: float, cell: int, scale: float, picture: int, rng: np.random.Generator
) -> Span:
    """Choose which part of a crop a cell shows along one axis, in whole pixels, with the face inside.

    The cell's window in the crop is rounded up to whole pixels, so that the scale is not exceeded.
    """
    window = math.ceil(cell / scale)
    face = face_end - face_start
    spare = OVERHANG * face if face <= window else 0.0
    first, last = sorted((face_end - window, face_start))
    low, high = math.ceil(first - spare), math.floor(last + spare)
    begin = int(rng.integers(low, high + 1)) if low <= high else round((first + last) / 2)
    begin = min(max(begin, 1 - window), picture - 1)  # a very narrow face may round to nothing
    source, end = max(0, begin), min(picture, begin + window)
    start = min(-((begin - source) * cell // window), cell - 1)
    return Span(source, end - source, start, max(1, (end - begin) * cell // window - start))


def _degrade(picture: Picture, face: float, rng: np.random.Generator) -> Picture:
    """Compress, blur or downsample a picture; blur and downsampling are limited by the size of its `face`."""
    way = rng.integers(3)
    if way == 0:
        quality = int(rng.integers(20, 60))
        packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    if way == 1:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), face * rng.uniform(0.005, 0.02)), np.uint8)
    height, width = picture.shape[:2]
    factor = math.exp(rng.uniform(math.log(min(1.0, max(0.25, 12 / face))), 0))
    few = (math.ceil(width * factor), math.ceil(height * factor))
    small = cv2.resize(picture, few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _visible(faces: LabelledFaces, size: tuple[int, int]) -> LabelledFaces:
    """Clip boxes to `size` (width, height), and ignore or drop faces by the fraction that remains visible."""
    boxes = box_ops.clip(faces.boxes, *size)
    areas = box_ops.area(boxes)
    share = areas / box_ops.area(faces.boxes)
    kept = share >= GONE
    doubtful = (share < CERTAIN) | (areas < MIN_FACE**2)
    labels = {name: np.where(doubtful, NOT_KNOWN, values)[kept] for name, values in faces.labels.items()}
    return LabelledFaces(faces.picture, boxes[kept], labels, (faces.ignored | doubtful)[kept])


def _join(picture: Picture, faces: Sequence[LabelledFaces], under: FloatArray) -> LabelledFaces:
    """Concatenate the faces of one picture and the boxes `under` them, which are ignored."""
    labels = {}
    for name in dict.fromkeys(name for f in faces for name in f.labels):
        each = [f.labels[name] if name in f.labels else np.full(len(f.boxes), NOT_KNOWN) for f in faces]
        labels[name] = np.concatenate([*each, np.full(len(under), NOT_KNOWN)]).astype(np.int64)
    return LabelledFaces(
        picture,
        np.concatenate([*(f.boxes for f in faces), under]),
        labels,
        np.concatenate([*(f.ignored for f in faces), np.ones(len(under), bool)]),
    )
