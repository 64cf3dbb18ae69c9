from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3fd.identity.calibration import calibrate, threshold_at
from s3fd.identity.recogniser import Model
from s3fd.identity.sqlite_store import create_store
from s3fd.identity.store import GalleryError


@pytest.mark.parametrize(
    ("scores", "rate", "accepted"),
    [
        (np.arange(100) / 100, 0.05, 5),
        (np.arange(100) / 100, 0.059, 5),
        (np.array([0.9] * 3 + [0.1] * 97), 0.02, 0),  # three alike: all or none
        (np.array([0.9] * 3 + [0.1] * 97), 0.03, 3),
    ],
)
def test_no_more_than_the_rate_is_accepted(scores: np.ndarray, rate: float, accepted: int) -> None:
    scores = scores.astype(np.float32)
    assert (scores >= threshold_at(scores, rate)).sum() == accepted


def test_a_rate_that_the_faces_cannot_tell() -> None:
    with pytest.raises(ValueError, match="takes 1000 comparisons at least, there are 999"):
        threshold_at(np.zeros(999, np.float32), 0.001)
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_at(np.zeros(9, np.float32), 0)


def test_strangers_are_compared_with_the_gallery_and_with_each_other(tmp_path: Path) -> None:
    def unit(angle: float) -> np.ndarray:
        return np.array([np.cos(angle), np.sin(angle)], np.float32)

    with create_store(tmp_path / "g", Model("m", "0" * 64, 2)) as store:
        strangers = {"x": np.stack([unit(1.0)]), "y": np.stack([unit(1.5), unit(2.0)])}
        with pytest.raises(GalleryError, match="add people first"):
            calibrate(store, strangers, 0.5)
        store.add("Ada", unit(0)[None], ["a"])
        fitted = calibrate(store, strangers, 0.5)
        # With Ada: cos 1, cos 1.5, cos 2; with each other: cos 0.5, cos 1. Half of three is one.
        assert fitted.identify == pytest.approx(np.cos(1.5), abs=1e-6)
        assert fitted.verify == pytest.approx(np.cos(1.0), abs=1e-6)
        assert (fitted.faces, fitted.vectors, fitted.false_accepts) == (3, 1, 0.5)
        with pytest.raises(GalleryError, match="'Ada' is in the gallery"):
            calibrate(store, {"Ada": strangers["x"]}, 0.5)
