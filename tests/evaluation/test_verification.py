from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3fd.evaluation.verification import best_threshold, read_pairs, roc, verify

SAME = np.array([True, True, False, False])


def test_roc_by_hand() -> None:
    curve = roc(np.array([0.9, 0.5, 0.7, 0.1]), SAME)
    np.testing.assert_array_equal(curve.true_accepts, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(curve.false_accepts, [0, 0, 0.5, 0.5, 1])
    assert (curve.at(0), curve.at(0.49), curve.at(0.5), curve.at(1)) == (0.5, 0.5, 1, 1)


def test_either_kind_of_pair_may_be_more_frequent() -> None:
    curve = roc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]))
    np.testing.assert_allclose(curve.true_accepts, [0, 1 / 3, 1 / 3, 2 / 3, 1])
    np.testing.assert_array_equal(curve.false_accepts, [0, 0, 1, 1, 1])


def test_equal_scores_are_accepted_together() -> None:
    curve = roc(np.full(4, 0.3), SAME)
    np.testing.assert_array_equal(curve.true_accepts, [0, 1])
    np.testing.assert_array_equal(curve.false_accepts, [0, 1])
    assert curve.at(0.01) == 0


@pytest.mark.parametrize(
    ("scores", "threshold"),
    [([0.9, 0.8, 0.2, 0.1], 0.5), ([0.9, 0.5, 0.7, 0.1], 0.8), ([0.3, 0.3, 0.3, 0.3], 1.3)],
)
def test_the_best_threshold_by_hand(scores: list[float], threshold: float) -> None:
    assert best_threshold(np.array(scores), SAME) == pytest.approx(threshold)


def test_the_best_threshold_may_accept_everything() -> None:
    scores, same = np.array([0.9, 0.5, 0.4, 0.3]), np.array([False, True, True, True])
    assert best_threshold(scores, same) == pytest.approx(0.3 - 1)


def test_a_fold_is_judged_by_the_threshold_of_the_others() -> None:
    # Fold 0 would like 0.5 and fold 1 0.25: each gets the other's.
    scores = np.array([0.6, 0.6, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2])
    found = verify(scores, np.tile(SAME, 2), np.repeat([0, 1], 4))
    np.testing.assert_allclose(found.thresholds, [0.25, 0.5])
    np.testing.assert_array_equal(found.accuracies, [0.5, 0.5])
    assert (found.accuracy, found.standard_error) == (0.5, 0)


def test_mean_and_standard_error_by_hand() -> None:
    scores = np.array([0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])
    found = verify(scores, np.tile(SAME, 2), np.repeat([0, 1], 4))
    np.testing.assert_array_equal(found.accuracies, [1, 0.75])
    assert found.accuracy == 0.875 and found.standard_error == pytest.approx(0.125)


def test_what_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="at least two folds"):
        verify(np.zeros(4), SAME, np.zeros(4, int))
    for same in (True, False):
        with pytest.raises(ValueError, match="pairs of the same person and pairs of different people"):
            roc(np.zeros(2), np.array([same, same]))


PAIRS = "2\t1\nA\t1\t2\nA\t1\tB\t3\nC\t4\t5\nC\t1\tD\t1\n"


@pytest.mark.parametrize("end", ["", "\n", " \n\n"])
def test_pairs_are_read(tmp_path: Path, end: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(PAIRS + end)
    pairs = read_pairs(path)
    assert [(pair.first, pair.second, pair.same, pair.fold) for pair in pairs] == [
        (("A", 1), ("A", 2), True, 0),
        (("A", 1), ("B", 3), False, 0),
        (("C", 4), ("C", 5), True, 1),
        (("C", 1), ("D", 1), False, 1),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2\t1", "2", ":1: expected the number of folds"),
        ("2\t1", "1\t2", r":5: expected 2 × 2 pairs in each of 1 folds \(at least two folds\)"),
        (PAIRS, "2\t0", ":1: expected 2 × 0 pairs"),
        (
            "C\t1\tD\t1\n",
            "",
            r":4: expected 2 × 1 pairs in each of 2 folds \(at least two folds\), found 3 lines",
        ),
        ("A\t1\t2", "A\t1\tx", ":2: expected a name and two numbers"),
        ("B\t3", "B", ":3: expected a name, a number, a name and a number"),
        ("D\t1", "C\t2", ":5: expected two different people, found one"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(PAIRS.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_pairs(path)


def test_pairs_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes("2\t1\nJosé\t1\t2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"pairs\.txt: not encoded in UTF-8"):
        read_pairs(path)


def test_the_public_pairs(lfw_pairs: Path) -> None:
    pairs = read_pairs(lfw_pairs)
    assert len(pairs) == 3000 and sum(pair.same for pair in pairs) == 1500
    assert {pair.fold for pair in pairs} == set(range(5))
