from __future__ import annotations

import numpy as np

from s3fd.faces import Faces
from s3fd.video.follow import TrackedFrame
from s3fd.video.summary import Summary


def frame(number: int, *tracks: int, score: float = 0.5, detected: bool = True) -> TrackedFrame:
    count = len(tracks)
    columns = {
        "track": np.array(tracks, dtype=int),
        "detected": np.full(count, detected),
        "gender": np.full(count, "female" if number < 3 else None, dtype=object),
        "gender_probability": np.full(count, 0.75, np.float32),
    }
    boxes = np.tile(np.array([[number, 0, number + 10, 20]], np.float32), (count, 1))
    faces = Faces(boxes, np.full(count, score, np.float32), columns)
    return TrackedFrame(np.zeros((1, 1, 3), np.uint8), number, number / 10, faces)


def test_a_track_ends_once_its_gap_is_over() -> None:
    summary = Summary(gap=0.25)
    assert summary.add(frame(0, 1, 2)) == []
    assert summary.add(frame(1, 1, score=0.9)) == []
    assert summary.add(frame(2, 1, detected=False)) == []
    (gone,) = summary.add(frame(3, 1))
    assert gone.number == 2
    assert (gone.first, gone.last, gone.frames) == (0, 0, 1)
    (left,) = summary.rest()
    assert left.to_dict() == {
        "track": 1,
        "first": 0,
        "last": 3,
        "start": 0.0,
        "end": 0.3,
        "frames": 4,
        "detections": 3,
        "score": 0.9,
        "best": 1,
        "box": [1.0, 0.0, 11.0, 20.0],
        "gender": None,
        "gender_probability": 0.75,
    }
    assert summary.rest() == []


def test_a_track_that_comes_back_in_time_is_one() -> None:
    summary = Summary(gap=0.35)
    for number, tracks in enumerate([(1,), (), (), (1,)]):
        assert summary.add(frame(number, *tracks)) == []
    (track,) = summary.rest()
    assert (track.first, track.last, track.frames) == (0, 3, 2)
