from __future__ import annotations

import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.video.averages import Averages


def face(side: float, score: float, female: float) -> Faces:
    told = {"gender": np.array([[female, 1 - female]], np.float32)}
    return Faces(np.array([[0, 0, side, side]], np.float32), np.array([score], np.float32), told)


def test_each_detection_counts_by_score_and_area() -> None:
    averages = Averages({"gender": ("female", "male")})
    averages.add([5], face(20, 1.0, 0.9))
    averages.add([5], face(10, 0.8, 0.1))
    averages.add([6], face(10, 0.8, 0.3))
    told = averages.told([6, 5], 0.0)
    assert told["gender"].tolist() == ["male", "female"]
    mean = (400 * 0.9 + 80 * 0.1) / 480
    assert told["gender_probability"] == pytest.approx([0.7, mean])


def test_a_mean_that_is_not_sure_is_left_open() -> None:
    averages = Averages({"gender": ("female", "male")})
    averages.add([1], face(10, 0.5, 0.95))
    averages.add([1], face(10, 0.5, 0.25))
    assert averages.told([1], 0.8)["gender"].tolist() == [None]
    assert averages.told([1], 0.8)["gender_probability"] == pytest.approx([0.6])
    assert averages.told([1], 0.55)["gender"].tolist() == ["female"]


def test_a_score_of_nothing_still_gives_a_mean() -> None:
    averages = Averages({"gender": ("female", "male")})
    averages.add([1], face(10, 0.0, 0.75))
    assert averages.told([1], 0.0)["gender_probability"] == pytest.approx([0.75])


def test_what_is_over_is_forgotten() -> None:
    averages = Averages({"gender": ("female", "male")})
    averages.add([1], face(10, 0.5, 1.0))
    averages.forget([1, 2])
    averages.add([1], face(10, 0.5, 0.0))
    assert averages.told([1], 0.0)["gender"].tolist() == ["male"]
    assert averages.told([], 0.0)["gender"].shape == (0,)
