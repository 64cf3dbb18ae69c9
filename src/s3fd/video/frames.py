"""Video frames with their times, and their format."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

from s3fd.errors import UnusableError
from s3fd.inference.pictures import Pixels

MILLISECONDS = Fraction(1, 1000)

CUT_OFF = 0.5
"""Seconds by which the pictures of a file may fall short of its declared length."""

EXACT = 0x2 | 0x2000 | 0x40000
"""Flags for FFmpeg's colour converter: bilinear, full chroma resolution, accurate rounding. Its defaults turn
a grey of 90 into (86, 89, 87) on the way to a file and back, and change it further with every copy of a
copy."""


class VideoError(UnusableError):
    """Raised for a video that cannot be read or written; the message is one line.

    Attributes:
        name: the file or camera.
        reason: what is wrong with it.
    """


@dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright.
        number: frame number, from 0, in display order.
        time: display time in seconds since the first frame.
    """

    pixels: Pixels
    number: int
    time: float


@dataclass(frozen=True)
class VideoFormat:
    """How the frames of a video are stored.

    Attributes:
        width: width of the upright frames in pixels.
        height: height of the upright frames in pixels.
        rate: frames per second; the average if the frame rate varies.
        time_base: unit of the frames' timestamps, in seconds.
        start: time of the first frame in seconds since the file's beginning, on the clock that pictures and
            sound share.
        matrix: colour space as a value of FFmpeg's `AVColorSpace`; 2 if the file does not specify it.
        aspect: ratio of a pixel's width to its height.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction = MILLISECONDS
    start: float = 0.0
    matrix: int = 2
    aspect: Fraction = Fraction(1)


def full_name(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a file, since FFmpeg may take a relative one for a URL (``http:a.mp4``).

    A name that is not an existing file is returned unchanged.
    """
    return os.path.abspath(path) if os.path.lexists(path) else os.fspath(path)  # noqa: PTH100 (leaves links alone)


def cut_off(end: float, missing: float) -> str | None:
    """Describe a video that ends at `end`, `missing` seconds too early; None if within `CUT_OFF`."""
    if missing <= CUT_OFF:
        return None
    return f"cut off after {end:.1f} of {end + missing:.1f} seconds"
