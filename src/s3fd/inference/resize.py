"""The size at which the network sees a picture."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray

OneSize = int | Literal["vga", "original"]
"""The longest side that the network sees, in pixels: ``vga`` is 640, ``original`` keeps the picture's own.

At ``vga``, smaller pictures are seen as at ``auto``: see `at_several_scales`."""

Size = OneSize | Literal["auto"]
"""One size, or ``auto``: as many as it takes to find faces of every size (`s3fd.inference.pyramid`)."""

VGA = 640
"""Longest side, in pixels, of the setting that SCRFD and YuNet call "VGA" in their publications."""

MAX_INPUT_PIXELS = 16_000_000
"""Most pixels that the network sees at once, whatever single size is requested: this bounds its memory."""

FILL_BGR = (104, 117, 123)
"""Colour outside the picture: the mean that the network subtracts, so that it sees zeros there."""

SMALLEST = 32
"""Least height and width, in pixels, that every network can take: VGG-16 halves both five times and rounds
down. A shorter side is padded to it."""

SIZES = "auto, vga, original or the longest side in pixels"
"""The sizes that a user can choose from, in words."""


def parse_size(text: str) -> Size:
    """Parse a size as a user writes it: ``auto``, ``vga``, ``original``, or a number of pixels.

    Raises:
        ValueError: anything else, or a number under 1.
    """
    if text == "auto":
        return "auto"
    if text == "vga":
        return "vga"
    if text == "original":
        return "original"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError(f"invalid size {text!r}: use {SIZES}")


def at_several_scales(width: int, height: int, size: Size) -> bool:
    """Whether the network sees a picture of `width` × `height` pixels at several scales with this `size`.

    It does at ``auto``, and at ``vga`` if the picture is smaller than that. If such a picture were only
    enlarged, a portrait of 200 pixels would show a face larger than the network knows. If it were left as it
    is, a crowd of 400 pixels would show faces of a few pixels. All looks together have 44 % more pixels than
    the enlarged picture.
    """
    return size == "auto" or (size == "vga" and max(width, height) < VGA)


def network_size(width: int, height: int, size: OneSize) -> tuple[int, int]:
    """(width, height) at which the network sees a picture of `width` × `height` pixels.

    The longest side becomes `size`, even if that enlarges the picture. The aspect ratio is kept as far as
    whole pixels allow; no side falls under 1. A result over `MAX_INPUT_PIXELS` is shrunk to that, counting
    the padding of a side under `SMALLEST`.

    Raises:
        ValueError: `size` is not a positive number of pixels, ``vga`` or ``original``.
    """
    if size == "original":
        scale = 1.0
    else:
        side: object = VGA if size == "vga" else size
        if not isinstance(side, (int, np.integer)) or isinstance(side, bool) or side < 1:
            raise ValueError(f"invalid size {size!r}: use {SIZES}")
        scale = side / max(width, height)
    longest = MAX_INPUT_PIXELS / SMALLEST  # beyond it, even a line of one pixel would be too much
    scale = min(scale, (MAX_INPUT_PIXELS / (width * height)) ** 0.5, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def input_pixels(width: int, height: int) -> int:
    """Pixels that the network computes for a picture of which it sees `width` × `height`, with padding."""
    return max(width, SMALLEST) * max(height, SMALLEST)


def check_size(size: Size) -> None:
    """Raise ValueError if `size` is not a valid size."""
    if size != "auto":
        network_size(1, 1, size)


def resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize a picture (H, W, 3) to (height, width, 3).

    To half a side or less, it averages areas. Otherwise it interpolates between four pixels, which skips
    hardly any pixel and takes an eighth of the time.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    halved = 2 * width <= pixels.shape[1] or 2 * height <= pixels.shape[0]
    method = cv2.INTER_AREA if halved else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)


def pad(pictures: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Extend pictures (N, H, W, 3) with `FILL_BGR`, at the bottom and right, to at least (height, width)."""
    count, own_height, own_width, _ = pictures.shape
    shape = count, max(height, own_height), max(width, own_width), 3
    if shape == pictures.shape:
        return pictures
    padded = np.empty(shape, np.uint8)
    padded[:, :own_height, :own_width] = pictures
    padded[:, own_height:] = padded[:, :own_height, own_width:] = FILL_BGR
    return padded


def rescale(boxes: FloatArray, source: tuple[int, int], target: tuple[float, float]) -> FloatArray:
    """Convert boxes (N, 4) in pixels of a picture of size `source` to pixels of the picture at size `target`.

    Both sizes are (width, height). Because sizes are rounded, the two axes scale by slightly different
    factors.
    """
    x, y = target[0] / source[0], target[1] / source[1]
    return boxes * np.array([x, y, x, y], dtype=np.float32)
