from __future__ import annotations

import numpy as np
import pytest

from s3fd.video.timeline import Reach, Timeline


def timeline(reach: Reach, seen: dict[float, list[float]]) -> Timeline:
    """One face whose left side is as given at each update; an empty list is an update without it."""
    line = Timeline(reach)
    for time, lefts in seen.items():
        found = np.array([[x, 0, x + 10, 20] for x in lefts], np.float32).reshape(-1, 4)
        line.add(time, [1] * len(lefts), found, np.full(len(lefts), 0.8, np.float32))
    return line


def left(line: Timeline, time: float) -> float | None:
    moment = line.at(time)
    return float(moment.boxes[0, 0]) if len(moment.tracks) else None


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (-0.1, None),
        (0.0, 100),  # seen
        (0.5, 150),  # between
        (1.0, 200),
        (1.5, 200),  # until the next update, where it was last
        (2.0, None),  # missed
        (2.5, None),
        (5.0, 600),  # the gap before is too long
        (5.5, 600),
        (9.0, 600),  # no update since
    ],
)
def test_where_a_face_is(time: float, expected: float | None) -> None:
    seen: dict[float, list[float]] = {0.0: [100], 1.0: [200], 2.0: [], 3.0: [], 5.0: [600]}
    assert left(timeline(Reach(between=2.0), seen), time) == expected


def test_successive_updates_are_joined_however_far_apart() -> None:
    line = timeline(Reach(between=0.0), {0.0: [100], 10.0: [200], 11.0: [], 12.0: [300]})
    assert left(line, 5.0) == 150
    assert left(line, 10.5) == 200
    assert left(line, 11.5) is None


def test_a_gap_that_is_short_enough_is_filled() -> None:
    line = timeline(Reach(between=2.0), {0.0: [100], 1.0: [], 2.0: [300]})
    moment = line.at(1.0)
    assert moment.boxes.tolist() == [[200, 0, 210, 20]]
    assert moment.detected.tolist() == [False]
    assert moment.scores == pytest.approx([0.8])
    assert line.at(2.0).detected.tolist() == [True]


@pytest.mark.parametrize(
    ("time", "expected"), [(2.0, None), (2.5, 95), (3.0, 100), (4.0, 90), (4.9, 81), (5.5, None)]
)
def test_reach_and_growth(time: float, expected: float | None) -> None:
    line = timeline(
        Reach(between=0.0, before=0.5, after=2.0, growth=1.0),
        {0.0: [], 3.0: [100], 4.0: [], 5.0: [], 6.0: []},
    )
    assert left(line, time) == pytest.approx(expected) if expected is not None else left(line, time) is None


def test_growth_is_on_each_side_by_the_nearest_detection() -> None:
    line = timeline(Reach(between=1.0, growth=1.0), {0.0: [0], 1.0: [0]})
    assert line.at(0.25).boxes.tolist() == [[-2.5, -5, 12.5, 25]]
    assert line.at(0.75).boxes.tolist() == [[-2.5, -5, 12.5, 25]]


def test_nothing_is_remembered_that_no_moment_needs() -> None:
    line = Timeline(Reach(between=0.5, after=1.0))
    for i in range(1000):
        tracks = [1, 100 + i] if i % 10 == 0 else [1]
        line.add(i / 10, tracks, np.zeros((len(tracks), 4), np.float32), np.ones(len(tracks), np.float32))
        line.forget(i / 10, alive={1})
    assert 1 in line and 100 not in line
    assert len(line._seen) <= 3
    assert len(line._seen[1].times) <= 2
    assert len(line._updates) <= 2
    assert left(line, 99.9) == 0


def test_no_face() -> None:
    moment = Timeline(Reach(1.0)).at(0.0)
    assert moment.boxes.shape == (0, 4)
    assert moment.boxes.dtype == np.float32
    assert moment.tracks.shape == moment.scores.shape == moment.detected.shape == (0,)
