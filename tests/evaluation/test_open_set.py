from __future__ import annotations

import numpy as np
import pytest

from s3fd.evaluation.open_set import open_set


def test_the_curve_by_hand() -> None:
    curve = open_set(
        np.array([0.9, 0.8, 0.7, 0.3]), np.array([True, False, True, True]), np.array([0.75, 0.2])
    )
    np.testing.assert_allclose(curve.thresholds, [0.9, 0.8, 0.75, 0.7, 0.3, 0.2])
    np.testing.assert_allclose(curve.identifications, [0.25, 0.25, 0.25, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(curve.false_identifications, [0, 0, 0.5, 0.5, 0.5, 1])
    assert (curve.at(0), curve.at(0.5), curve.at(1)) == (0.25, 0.75, 0.75)


def test_a_stranger_on_top_leaves_nothing_without_false_identifications() -> None:
    assert open_set(np.array([0.5]), np.array([True]), np.array([0.9])).at(0.1) == 0


def test_both_kinds_are_needed() -> None:
    nobody = np.zeros(0)
    for scores, strangers in ((nobody, np.ones(1)), (np.ones(1), nobody)):
        with pytest.raises(ValueError, match="strangers"):
            open_set(scores, np.ones(len(scores), bool), strangers)
