from __future__ import annotations

import numpy as np
import pytest

from s3fd.video.tracker import Tracker


def square(x: float, y: float = 0.0, side: float = 40.0) -> list[float]:
    return [x, y, x + side, y + side]


def boxes(*found: list[float]) -> np.ndarray:
    return np.array(found, np.float32).reshape(-1, 4)


def test_faces_keep_their_numbers_as_they_move_whatever_the_order() -> None:
    tracker = Tracker(gap=10)
    numbers = set()
    for t in range(30):
        found = boxes(square(10 * t, 0), square(600 - 10 * t, 200))
        order = [1, 0] if t % 2 else [0, 1]
        tracks, _ = tracker.update(found[order], t)
        numbers.add(tuple(tracks[order].tolist()))
    assert len(numbers) == 1


def test_a_face_is_confirmed_when_it_was_seen_twice() -> None:
    tracker = Tracker(gap=10)
    tracks, confirmed = tracker.update(boxes(square(0)), 0)
    assert confirmed == set()
    again, confirmed = tracker.update(boxes(square(2), square(300)), 1)
    assert again[0] == tracks[0]
    assert confirmed == {int(tracks[0])}


def test_a_face_is_found_again_where_it_was_going() -> None:
    tracker = Tracker(gap=10)
    for t in range(10):
        before, _ = tracker.update(boxes(square(10 * t)), t)
    for t in range(10, 19):
        tracker.update(boxes(), t)
    after, _ = tracker.update(boxes(square(10 * 19)), 19)
    assert after.tolist() == before.tolist()


def test_a_face_that_was_away_for_too_long_is_another() -> None:
    tracker = Tracker(gap=5)
    for t in range(10):
        before, _ = tracker.update(boxes(square(0)), t)
    for t in range(10, 17):
        tracker.update(boxes(), t)
    assert tracker.alive == set()
    after, _ = tracker.update(boxes(square(0)), 17)
    assert after.tolist() != before.tolist()


@pytest.mark.parametrize("every", [0.01, 0.9, 4.0])
def test_seconds_count_and_not_updates(every: float) -> None:
    tracker = Tracker(gap=1)
    (first,), _ = tracker.update(boxes(square(0)), 0.0)
    (again,), _ = tracker.update(boxes(square(0)), every)
    assert again == first
    tracker.update(boxes(), 2 * every)
    (near,), _ = tracker.update(boxes(square(0)), max(every + 1.0, 2.1 * every))
    assert (near == first) == (every < 0.91)
    tracker.update(boxes(), 20.0)
    (other,), _ = tracker.update(boxes(square(0)), 20.01)
    assert other not in (first, near)


def test_the_size_of_the_video_makes_no_difference() -> None:
    rng = np.random.default_rng(0)
    paths = [boxes(square(8 * t, 3 * t), square(300, 100)) + rng.normal(0, 2, (2, 4)) for t in range(20)]
    small, large = Tracker(gap=5), Tracker(gap=5)
    for t, found in enumerate(paths):
        assert small.update(found, t)[0].tolist() == large.update(found * 10, t)[0].tolist()


def test_no_face() -> None:
    tracks, confirmed = Tracker(gap=5).update(boxes(), 0)
    assert tracks.shape == (0,)
    assert confirmed == set()


@pytest.mark.parametrize(("jump", "same"), [(26, True), (28, False)])
def test_a_box_belongs_to_a_track_that_it_overlaps_by_a_fifth(jump: float, same: bool) -> None:
    """Of squares of 40 pixels, 26 pixels apart, the IoU is 0.21; 28 pixels apart, it is 0.18."""
    tracker = Tracker(gap=10)
    for t in range(10):
        (before,), _ = tracker.update(boxes(square(100)), t)
    (after,), _ = tracker.update(boxes(square(100 + jump)), 10)
    assert (after == before) == same


def test_a_track_outlives_any_number_of_updates_within_its_gap() -> None:
    tracker = Tracker(gap=2)
    for t in (0.0, 0.01):
        (before,), _ = tracker.update(boxes(square(100)), t)
    for i in range(100):
        tracker.update(boxes(), 0.02 + i / 100)
    assert tracker.alive == {before}
    (after,), _ = tracker.update(boxes(square(100)), 1.1)
    assert after == before
