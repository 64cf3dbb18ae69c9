from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from s3fd.video.clock import Clock, beginning


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([7, 8, 12, 13], [7, 8, 12, 13]),  # uneven times stay
        ([None, None, None], [0, 2, 4]),
        ([5, 5, 6, 8], [5, 6, 7, 8]),  # each frame has a time of its own
        ([10, 12, 9, 14], [10, 12, 13, 14]),  # a small disorder
        ([100, 102, 77, 78], [100, 102, 103, 104]),  # half a second is a small one too
        ([100, 102, 76, 78], [100, 102, 104, 106]),  # a fiftieth more: it starts over
        ([100, 102, 0, 2, 4], [100, 102, 104, 106, 108]),  # starts over
        ([100, 102, 0, 2, 0, 2], [100, 102, 104, 106, 107, 108]),
        ([0, 2, 100, 102, 0], [0, 2, 100, 102, 104]),
    ],
)
def test_times_increase(stamps: list[int | None], expected: list[int]) -> None:
    clock = Clock(Fraction(1, 50))
    assert [clock.read(stamp, 2) for stamp in stamps] == expected


def test_times_increase_even_if_nothing_is_known_of_them() -> None:
    clock = Clock(Fraction(1, 50))
    assert [clock.read(None, step) for step in (0, 0, 0, 3)] == [0, 1, 2, 5]


def test_a_coarse_clock_starts_over_too() -> None:
    clock = Clock(Fraction(1))
    assert [clock.read(stamp, 1) for stamp in (8, 9, 0, 1)] == [8, 9, 10, 11]


@pytest.mark.parametrize(("start", "seconds"), [(None, 0), (0, 0), (-40_000, 0), (1_400_000, Fraction(7, 5))])
def test_a_file_begins_where_its_clock_does_but_not_before_0(start: int | None, seconds: Fraction) -> None:
    assert beginning(SimpleNamespace(start_time=start)) == seconds  # type: ignore[arg-type]
