"""What a video gives: frames with their times, and the format they are in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

from s3fd.errors import UnusableError
from s3fd.inference.pictures import Pixels

MILLISECONDS = Fraction(1, 1000)

CUT_OFF = 0.5
"""Seconds of pictures by which a file may fall short of the length that it declares."""

EXACT = 0x2 | 0x2000 | 0x40000
"""Flags of FFmpeg's converter of colours: bilinear, colour at full width, exact rounding. Its own choice
turns a grey of 90 into (86, 89, 87) on the way to a file and back, and further with every copy of a copy."""


class VideoError(UnusableError):
    """A video that cannot be read or written; the message is one line.

    Attributes:
        name: the file or camera.
        reason: what is wrong with it.
    """


@dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright.
        number: from 0, in the order of display.
        time: at which it is shown, in seconds from the first frame.
    """

    pixels: Pixels
    number: int
    time: float


@dataclass(frozen=True)
class VideoFormat:
    """How the frames of a video are stored.

    Attributes:
        width: of the upright frames in pixels.
        height: of the upright frames in pixels.
        rate: frames a second, on average where they come at uneven times.
        time_base: the unit in seconds in which frames are timed.
        start: time of the first frame on the clock that it shares with the sound, in seconds.
        matrix: how colours are coded, as FFmpeg counts `AVColorSpace`; 2 where the file does not say.
        aspect: width of a pixel over its height.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction = MILLISECONDS
    start: float = 0.0
    matrix: int = 2
    aspect: Fraction = Fraction(1)


def full_name(path: str | os.PathLike[str]) -> str:
    """The name by which FFmpeg opens a file: a relative one, such as ``http:a.mp4``, may be a URL to it.

    What is no file stays as it is.
    """
    return os.path.abspath(path) if os.path.lexists(path) else os.fspath(path)  # noqa: PTH100 (leaves links alone)


def cut_off(end: float, missing: float) -> str | None:
    """Say that a video ends at `end` with so many seconds missing; None if these are none too many."""
    if missing <= CUT_OFF:
        return None
    return f"cut off after {end:.1f} of {end + missing:.1f} seconds"
