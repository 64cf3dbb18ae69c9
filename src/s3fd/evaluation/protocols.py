"""Test protocols: the sizes at which a picture is processed, and how the detections become one result.

An average precision means little without its protocol: more passes find more faces, and take longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from s3fd import boxes
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.inference.postprocess import AFTER_NMS, BEFORE_NMS, select
from s3fd.inference.resize import SMALLEST, VGA, Size, pad, rescale, resize
from s3fd.inference.runtime import Runtime
from s3fd.inference.voting import vote

Protocol = Callable[[Runtime, Pixels], Faces]
"""Maps a network and a picture (H, W, 3) uint8 BGR to faces in the picture's pixels, best score first."""

MIN_SCORE = 0.02
"""Low enough for the whole curve; SCRFD, RetinaFace and YuNet are evaluated with the same value."""

PAPER_MIN_SCORE = 0.05
"""Minimum score in S³FD's own WIDER FACE evaluation."""

PUBLISHED_IOU = 0.3
"""IoU over which non-maximum suppression drops the weaker box of a pass, in S³FD's own evaluation."""

MAX_PIXELS = 2_500_000
"""Maximum number of pixels of a `multiscale` pass, to bound memory and time."""

PAPER_MAX_PIXELS = 3_720_000
"""Maximum number of pixels of a `paper` pass: what fitted into the authors' Caffe."""

MIDDLE = 100.0
"""Size in pixels that separates the faces taken from enlarged and from shrunk passes (S³FD's evaluation)."""

PAPER_LARGE = 30.0
"""Size in pixels over which S³FD's authors take faces from shrunk passes."""


@dataclass(frozen=True)
class Pass:
    """One pass of the network over a picture.

    Attributes:
        scale: scale at which the network sees the picture.
        flipped: whether it sees the mirror image.
        over: only faces whose longer side is over this are taken, in pixels of the picture.
        under: only faces whose shorter side is under this are taken, in pixels of the picture.
    """

    scale: float
    flipped: bool = False
    over: float = 0.0
    under: float = float("inf")


def vga(runtime: Runtime, picture: Pixels) -> Faces:
    """Run one pass with the longest side at 640, enlarging smaller pictures, as in SCRFD's tables."""
    return _single(runtime, picture, VGA)


def single(runtime: Runtime, picture: Pixels) -> Faces:
    """Run one pass at the picture's own size."""
    return _single(runtime, picture, "original")


def auto(runtime: Runtime, picture: Pixels) -> Faces:
    """Use the detector's size ``auto``: several scales, in tiles if the picture is large."""
    return _single(runtime, picture, "auto")


def multiscale(runtime: Runtime, picture: Pixels) -> Faces:
    """Merge passes over the picture and its mirror image, at full, half and twice the size, by box voting."""
    passes = multiscale_passes(picture.shape[1], picture.shape[0])
    return vote(_look(runtime, picture, passes, MIN_SCORE))[:AFTER_NMS]


def paper(runtime: Runtime, picture: Pixels) -> Faces:
    """Run S³FD's own multi-scale test, which drops every box that no other box confirms."""
    passes = paper_passes(picture.shape[1], picture.shape[0])
    return vote(_look(runtime, picture, passes, PAPER_MIN_SCORE), drop_singletons=True)[:AFTER_NMS]


PROTOCOLS: dict[str, Protocol] = {
    "vga": vga,
    "single": single,
    "auto": auto,
    "multiscale": multiscale,
    "paper": paper,
}
"""All protocols by name."""


def multiscale_passes(width: int, height: int) -> list[Pass]:
    """Return the passes of `multiscale` over a picture of `width` × `height` pixels, none over `MAX_PIXELS`.

    Small faces are taken from the enlarged passes and large faces from the shrunk ones, because a network is
    best at the sizes of its anchors. A picture that is too large to be enlarged has no enlarged passes.
    """
    largest = _largest_scale(width, height, MAX_PIXELS)
    base = min(1.0, largest)
    passes = [Pass(base), Pass(base / 2, over=MIDDLE)]
    if largest > base:
        passes.append(Pass(min(2.0, largest), under=MIDDLE))
    return [Pass(p.scale, flipped, p.over, p.under) for p in passes for flipped in (False, True)]


def paper_passes(width: int, height: int) -> list[Pass]:
    """Return the passes of `paper` over a picture of `width` × `height` pixels.

    These are the picture and its mirror image; the picture at half size; and the picture enlarged by 2, 4, …
    and by the largest scale that fits, from which only faces under 100 pixels are taken. A picture that is
    too large to be enlarged is shrunk until it fits, and has a second shrunk pass in place of the enlarged
    ones.
    """
    largest = _largest_scale(width, height, PAPER_MAX_PIXELS)
    base = min(1.0, largest)
    half = 0.5 if largest >= 0.75 else largest / 2
    passes = [Pass(base), Pass(base, flipped=True), Pass(half, over=PAPER_LARGE)]
    if largest <= 1:
        return [*passes, Pass((half + largest) / 2, over=PAPER_LARGE)]
    scale = min(2.0, largest)
    while scale < largest:
        passes.append(Pass(scale, under=MIDDLE))
        scale *= 2
    return [*passes, Pass(largest, under=MIDDLE)]


def _single(runtime: Runtime, picture: Pixels, size: Size) -> Faces:
    """Run the detector itself, so that the evaluation scores what users get."""
    return Detector(runtime, size, MIN_SCORE)(picture)


def _largest_scale(width: int, height: int, pixels: int) -> float:
    """Return the scale at which a picture has `pixels` pixels."""
    return float((pixels / (width * height)) ** 0.5)


def _look(runtime: Runtime, picture: Pixels, passes: Sequence[Pass], min_score: float) -> Faces:
    """Return the detections of several passes, with non-maximum suppression within each."""
    found = [_run(runtime, picture, one, min_score) for one in passes]
    return Faces(np.concatenate([f.boxes for f in found]), np.concatenate([f.scores for f in found]))


def _run(runtime: Runtime, picture: Pixels, one: Pass, min_score: float) -> Faces:
    """Return the detections of one pass, in pixels of the picture."""
    height, width = picture.shape[:2]
    seen = max(1, int(width * one.scale)), max(1, int(height * one.scale))
    pixels = resize(picture, *seen)
    if one.flipped:
        pixels = pixels[:, ::-1]
    scores, raw, *_ = runtime(pad(np.ascontiguousarray(pixels)[None], SMALLEST, SMALLEST))
    faces = select(
        scores[0], raw[0], min_score=min_score, iou=PUBLISHED_IOU, before_nms=BEFORE_NMS, after_nms=AFTER_NMS
    )
    found = rescale(faces.boxes, seen, (width, height))
    if one.flipped:
        found = boxes.flip(found, width)
    found = boxes.clip(found, width, height)
    sides = found[:, 2:] - found[:, :2]
    wanted = (sides.min(axis=1) > 0) & (sides.max(axis=1) > one.over) & (sides.min(axis=1) < one.under)
    return Faces(found, faces.scores)[wanted]
