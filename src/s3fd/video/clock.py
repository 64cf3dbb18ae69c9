"""Timestamps that begin near 0 and always increase, whatever those of a file do."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer

MICROSECONDS = 1_000_000
"""`AV_TIME_BASE`, the unit in which FFmpeg gives the start and the length of a file."""

STARTS_OVER = Fraction(1, 2)
"""Seconds by which a timestamp must be earlier than the one before for the file's clock to have started over.
Less is a small disorder."""


def beginning(container: InputContainer) -> Fraction:
    """Return the time in seconds at which the first stream of a file begins; 0 if that is earlier.

    A recording of a broadcast or a camera begins at any time of its clock, up to 26 hours.
    """
    return Fraction(max(container.start_time or 0, 0), MICROSECONDS)


class Clock:
    """Corrects the timestamps of one stream.

    MPEG-TS files are often joined by appending one to another, as are recordings of a camera that was
    switched off in between. The clock then starts over in the middle of the file.
    """

    def __init__(self, time_base: Fraction) -> None:
        """Correct timestamps in units of `time_base` seconds."""
        self._most_back = STARTS_OVER / time_base
        self._shift = 0
        self._latest: int | None = None

    def read(self, stamp: int | None, step: int) -> int:
        """Return a timestamp that is later than all before.

        `step` is the duration of the frame or packet before. It is the distance between two timestamps if the
        file has none, and where its clock starts over.
        """
        if self._latest is None:
            self._latest = stamp or 0
            return self._latest
        following = self._latest + max(step, 1)
        if stamp is None:
            self._latest = following
            return following
        if stamp + self._shift < self._latest - self._most_back:
            self._shift = following - stamp
        self._latest = max(stamp + self._shift, self._latest + 1)
        return self._latest
