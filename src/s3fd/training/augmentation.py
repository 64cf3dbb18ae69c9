"""Augmentation of annotated pictures: windows at many scales, mosaics, flips and colour distortion.

Pictures are uint8 (H, W, 3) BGR. All randomness comes from the generator that is passed in, so that a seed
determines the training picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd import boxes as box_ops
from s3fd.anchors import ANCHOR_SIZES
from s3fd.boxes import FloatArray
from s3fd.inference.resize import FILL_BGR
from s3fd.training.layout import edges

Picture = NDArray[np.uint8]

PAPER_SCALES = (0.3, 1.0)
"""Side of the paper's random patch as a fraction of the picture's short side (section 3.4)."""

MAX_ENLARGEMENT = 3.0
"""Largest factor by which anchor sampling enlarges a face: beyond it, there is only blur to learn from."""

MIN_FACE = 6.0
"""Smallest face to train on, as its geometric mean side in pixels; smaller faces are ignored."""

LARGEST_TILT = 30.0
"""Largest angle, in degrees, by which `tilt` rotates a picture: for leaning heads, not for lying ones."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture with its boxes (N, 4), xyxy in its pixels, and a mask (N,) of those that are ignored."""

    picture: Picture
    boxes: FloatArray
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture, in its pixels; it may extend beyond the edges."""

    left: float
    top: float
    width: float
    height: float


def paper_window(item: Labelled, aspect: float, rng: np.random.Generator) -> Window:
    """Choose the paper's random patch: the largest one, or 0.3–1 of it, anywhere inside the picture.

    `aspect` is width / height of the window; the paper's is 1.
    """
    height, width = item.picture.shape[:2]
    scale = 1.0 if rng.random() < 0.2 else rng.uniform(*PAPER_SCALES)  # one of the paper's five sizes is 1
    window_height = scale * min(height, width / aspect)
    window_width = window_height * aspect
    left = rng.uniform(0, max(0.0, width - window_width))
    top = rng.uniform(0, max(0.0, height - window_height))
    return Window(left, top, window_width, window_height)


def anchor_window(item: Labelled, output: tuple[int, int], rng: np.random.Generator) -> Window:
    """Choose a window in which a random face has a random size (data-anchor-sampling).

    The face's size in the output of `output` (width, height) pixels is log-uniform, so that every octave, and
    with it every detection layer, is equally frequent. It is at most the output's shorter side, and large
    enough that the picture fills the output along at least one axis. The window contains the face and stays
    inside the picture where possible.

    Raises:
        ValueError: the picture has no face to choose.
    """
    candidates = np.flatnonzero(~item.ignored)
    if not len(candidates):
        raise ValueError("anchor sampling needs a picture with at least one face")
    x1, y1, x2, y2 = (float(v) for v in item.boxes[rng.choice(candidates)])
    size = math.sqrt((x2 - x1) * (y2 - y1))
    picture_height, picture_width = item.picture.shape[:2]
    smallest = max(MIN_FACE, size * min(output[0] / picture_width, output[1] / picture_height))
    largest = max(smallest, min(*output, ANCHOR_SIZES[-1], size * MAX_ENLARGEMENT))
    target = math.exp(rng.uniform(math.log(smallest), math.log(largest)))
    width, height = (side * size / target for side in output)
    return Window(
        _start((x1 + x2) / 2, x2 - x1, width, picture_width, rng),
        _start((y1 + y2) / 2, y2 - y1, height, picture_height, rng),
        width,
        height,
    )


def _start(centre: float, face: float, window: float, picture: int, rng: np.random.Generator) -> float:
    """Choose where a window of length `window` starts along one axis, so that it contains the whole face.

    If the face does not fit, the window is centred on it.
    """
    margin = min(face, window) / 2
    low, high = centre + margin - window, centre - margin
    if window <= picture:
        low, high = max(low, 0), min(high, picture - window)
    else:
        low, high = max(low, picture - window), min(high, 0)
    if low > high:  # a face wider than the window, or at the picture's edge
        low = high = centre - window / 2
    return rng.uniform(low, high)


def cut(item: Labelled, window: Window, output: tuple[int, int]) -> Labelled:
    """Crop `window` and scale it to `output` (width, height) pixels, with `FILL_BGR` outside the picture.

    The window is rounded to whole pixels, and boxes are mapped exactly as their pixels are: half a pixel
    matters for the IoU of a small face. A face is kept if its centre is inside (paper, section 3.4), and
    clipped at the edges; it is ignored if this makes it smaller than `MIN_FACE`.
    """
    height, width = item.picture.shape[:2]
    x = _fit(window.left, window.width, width, output[0])
    y = _fit(window.top, window.height, height, output[1])
    canvas = np.empty((output[1], output[0], 3), np.uint8)
    if (x.target, y.target) != output:
        canvas[:] = FILL_BGR
    if x.target and y.target:
        shrinking = min(x.scale, y.scale) < 1
        canvas[y.start : y.start + y.target, x.start : x.start + x.target] = cv2.resize(
            item.picture[y.source : y.source + y.length, x.source : x.source + x.length],
            (x.target, y.target),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )
    scale = np.array([x.scale, y.scale] * 2, np.float32)
    origin = np.array([x.source, y.source] * 2, np.float32)
    start = np.array([x.start, y.start] * 2, np.float32)
    seen = _keep_inside(Labelled(canvas, (item.boxes - origin) * scale + start, item.ignored))
    return replace(seen, ignored=seen.ignored | (box_ops.area(seen.boxes) < MIN_FACE**2))


class Span(NamedTuple):
    """Along one axis, `length` picture pixels from `source` fill `target` output pixels from `start`."""

    source: int
    length: int
    start: int
    target: int

    @property
    def scale(self) -> float:
        """Output pixels per picture pixel."""
        return self.target / self.length


def _fit(start: float, length: float, picture: int, output: int) -> Span:
    """Map the part of the picture inside a window to the output along one axis, in whole pixels of both."""
    end = start + length
    low, high = max(0, round(start)), min(picture, round(end))
    if low >= high:
        return Span(0, 1, 0, 0)
    scale = output / length
    first = 0 if start >= 0 else round(-start * scale)
    last = output if end <= picture else round((picture - start) * scale)
    return Span(low, high - low, first, max(0, last - first))


def _keep_inside(item: Labelled) -> Labelled:
    """Drop faces whose centre is outside the picture, and clip the others at its edges."""
    height, width = item.picture.shape[:2]
    centre = (item.boxes[:, :2] + item.boxes[:, 2:]) / 2
    inside = ((centre >= 0) & (centre < (width, height))).all(axis=1)
    boxes = box_ops.clip(item.boxes[inside], width, height)
    whole = box_ops.area(boxes) > 0
    return Labelled(item.picture, boxes[whole], item.ignored[inside][whole])


def mosaic(cells: Sequence[Sequence[Labelled]]) -> Labelled:
    """Join rows of pictures into one; pictures in a row have equal heights, and rows have equal widths."""
    picture = np.vstack([np.hstack([cell.picture for cell in row]) for row in cells])
    boxes, ignored = [], []
    y = 0
    for row in cells:
        x = 0
        for cell in row:
            boxes.append(cell.boxes + np.array([x, y, x, y], np.float32))
            ignored.append(cell.ignored)
            x += cell.picture.shape[1]
        y += row[0].picture.shape[0]
    return Labelled(picture, np.concatenate(boxes), np.concatenate(ignored))


def flip(item: Labelled) -> Labelled:
    """Mirror left to right."""
    picture = np.asarray(cv2.flip(item.picture, 1), np.uint8)  # in a tenth of NumPy's time
    return Labelled(picture, box_ops.flip(item.boxes, picture.shape[1]), item.ignored)


def tilt(item: Labelled, rng: np.random.Generator) -> Labelled:
    """Rotate a picture about its centre by up to `LARGEST_TILT`, and each face as the ellipse in its box.

    A face is kept if its centre is still inside, and clipped at the edges.
    """
    picture, boxes = turn(item.picture, item.boxes, rng.uniform(-LARGEST_TILT, LARGEST_TILT))
    return _keep_inside(Labelled(picture, boxes, item.ignored))


def turn(picture: Picture, boxes: FloatArray, angle: float) -> tuple[Picture, FloatArray]:
    """Rotate a picture about its centre by `angle` degrees anticlockwise; `FILL_BGR` fills the corners.

    Each of `boxes` (N, 4), xyxy, is rotated as its inscribed ellipse, and may then extend beyond the edges.
    """
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderValue=FILL_BGR)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    moved = (centres - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5  # in OpenCV, pixel 0 is centred at 0
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    reach = np.hypot(half * cosine, half[:, ::-1] * sine)
    return np.asarray(turned, np.uint8), np.hstack([moved - reach, moved + reach]).astype(np.float32)


def distort(picture: Picture, rng: np.random.Generator) -> Picture:
    """Distort brightness and contrast half the time, hue and saturation half the time; rarely, make it grey.

    The ranges are SSD's (±32 of 255, ×0.5–1.5, ±18°).
    """
    if rng.random() < 0.5:
        contrast = rng.uniform(0.5, 1.5)
        brightness = rng.uniform(-32, 32)
        levels = np.clip(np.arange(256) * contrast + brightness, 0, 255).astype(np.uint8)
        picture = _levels(picture, levels)
    if rng.random() < 0.5:
        hsv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), np.uint8)
        hue = ((np.arange(256) + rng.uniform(-9, 9)) % 180).astype(np.uint8)  # OpenCV halves degrees
        saturation = np.clip(np.arange(256) * rng.uniform(0.5, 1.5), 0, 255).astype(np.uint8)
        tables = np.stack([hue, saturation, np.arange(256, dtype=np.uint8)], axis=-1)[None]
        picture = _bgr(_levels(hsv, tables))
    if rng.random() < 0.05:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        picture = np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)
    return picture


def _levels(picture: Picture, table: NDArray[np.uint8]) -> Picture:
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def _bgr(hsv: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


@dataclass(frozen=True)
class Augmentation:
    """Augmentation policy: how often each way of making a training picture is used.

    Attributes:
        size: side of the square output in pixels.
        anchor_sampling: probability of `anchor_window` instead of `paper_window`.
        grids: probabilities that 1, 2 × 2, 3 × 3, … pictures share the output.
        distort: whether colours are distorted.
        tilt: probability that a picture is rotated, before all other steps.
    """

    size: int
    anchor_sampling: float
    grids: tuple[float, ...]
    distort: bool
    tilt: float = 0.0

    def __call__(self, draw: Callable[[], Labelled], rng: np.random.Generator) -> Labelled:
        """Make one training picture of `size` × `size`; `draw` returns the next annotated picture."""
        total = sum(self.grids)  # 1, up to rounding: NumPy is stricter than `AugmentationConfig`
        side = 1 + int(rng.choice(len(self.grids), p=[share / total for share in self.grids]))
        widths, heights = (np.diff(edges(self.size, side, rng)).tolist() for _ in range(2))
        return mosaic([[self._cell(draw(), (w, h), rng) for w in widths] for h in heights])

    def _cell(self, item: Labelled, output: tuple[int, int], rng: np.random.Generator) -> Labelled:
        if self.tilt and rng.random() < self.tilt:
            item = tilt(item, rng)
        if (~item.ignored).any() and rng.random() < self.anchor_sampling:
            window = anchor_window(item, output, rng)
        else:
            window = paper_window(item, output[0] / output[1], rng)
        result = cut(item, window, output)
        if rng.random() < 0.5:
            result = flip(result)
        if self.distort:
            result = Labelled(distort(result.picture, rng), result.boxes, result.ignored)
        return result
