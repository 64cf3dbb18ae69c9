"""Timestamps that always increase, whatever those of a file do."""

from __future__ import annotations

from fractions import Fraction

STARTS_OVER = Fraction(1, 2)
"""Seconds by which a timestamp must be earlier than the one before for the file's clock to have started over.
Less is a small disorder."""


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
