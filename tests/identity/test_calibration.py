from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.identity import galleries
from s3fd.identity.calibration import calibrate, threshold_at
from s3fd.identity.recogniser import Model
from s3fd.identity.store import Calibration, GalleryError, parse
from s3fd.identity.vectors import normalise


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    st.floats(0.005, 0.995),
)
def test_no_more_than_the_rate_reaches_the_threshold_and_not_one_less(
    values: list[float], rate: float
) -> None:
    scores = np.array(values, np.float32)
    try:
        threshold = threshold_at(scores, rate)
    except ValueError:
        assert rate * len(scores) < 1
        return
    accepted = (scores >= threshold).sum()
    assert accepted <= rate * len(scores) + 1e-6
    lower = scores[scores < threshold]
    if len(lower):  # one more score, with all that equal it, would be too many
        assert (scores >= lower.max()).sum() > np.floor(rate * len(scores))


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_rate_in_percent_is_exact(percent: int) -> None:
    scores = np.linspace(-1, 1, 100, dtype=np.float32)  # 0.29 · 100 is less than 29
    assert (scores >= threshold_at(scores, percent / 100)).sum() == percent


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2])
def test_a_rate_lies_between_0_and_1(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_at(np.zeros(1000, np.float32), rate)


def test_too_few_comparisons_are_refused() -> None:
    with pytest.raises(ValueError, match="needs at least 100 comparisons, not 99"):
        threshold_at(np.zeros(99, np.float32), 0.01)


def at(*degrees: float) -> np.ndarray:
    """Vectors (N, 2) of length 1 in these directions."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_strangers_are_compared_with_the_nearest_person_and_with_each_other(tmp_path: Path) -> None:
    with galleries.create(str(tmp_path / "g.db"), Model("test", "0" * 64, 2)) as store:
        store.add("Ada", at(0, 10), ["a", "b"])
        store.add("Rosa", at(90), ["c"])
        found = calibrate(store, {"Zoë": at(40, 55), "Eva": at(-20, -50)}, 0.5)
    # Nearest to Ada at 30, to Rosa at 35, and to Ada at 20 and 50 degrees; to the other of the two at 50, 45,
    # 110 and 140; among each other 60, 75, 90, 105.
    assert found.identify == pytest.approx(np.cos(np.radians(35)), abs=1e-6)
    assert found.verify == pytest.approx(np.cos(np.radians(50)), abs=1e-6)
    assert found.pairs == pytest.approx(np.cos(np.radians(90)), abs=1e-6)
    assert (found.false_accepts, found.faces, found.vectors) == (0.5, 4, 3)


def test_strangers_are_not_in_the_gallery_and_somebody_is(tmp_path: Path) -> None:
    with galleries.create(str(tmp_path / "g.db"), Model("test", "0" * 64, 2)) as store:
        with pytest.raises(GalleryError, match="add people first"):
            calibrate(store, {"Eva": at(0, 10)}, 0.5)
        store.add("Jos\u00e9", at(0, 10), ["a", "b"])
        with pytest.raises(GalleryError, match="'Jos\u00e9' is in the gallery"):
            calibrate(store, {"Eva": at(40, 55), "Jose\u0301": at(5)}, 0.5)


def test_many_pictures_of_a_person_do_not_let_more_strangers_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def faces(count: int) -> np.ndarray:
        return normalise(rng.normal(size=(count, 8)).astype(np.float32))

    with galleries.create(str(tmp_path / "g.db"), Model("test", "0" * 64, 8)) as store:
        for i in range(10):
            store.add(f"person {i}", faces(10), ["x"] * 10)
        found = calibrate(store, {f"stranger {i}": faces(1) for i in range(200)}, 0.01)
        strangers = faces(500)
        scores = np.concatenate(
            [(strangers @ store.vectors_of(name).T).max(axis=1) for name in store.people()]
        )
    assert (scores >= found.verify).mean() < 0.015
    assert (scores >= found.between_faces).mean() > 0.05  # the threshold for two faces is too low


def test_a_calibration_of_an_earlier_version_has_one_threshold_for_both() -> None:
    told = '{"identify": 0.6, "verify": 0.5, "false_accepts": 0.01, "faces": 100, "vectors": 9}'
    assert parse(Calibration, told).between_faces == 0.5
