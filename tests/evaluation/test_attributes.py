from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s3fd.evaluation.attributes import (
    Observations,
    Summary,
    by_group,
    by_size,
    fit_temperature,
    format_table,
    reliability,
    summarise,
    wilson_interval,
)


def observe(
    of_first: list[float], labels: list[int], sizes: list[float] | None = None, **groups: list[str]
) -> Observations:
    """Observations of two classes from the probability of class 0."""
    first = np.array(of_first, np.float32)
    return Observations(
        np.stack([first, 1 - first], axis=1),
        np.array(labels, np.int64),
        np.array([50] * len(labels) if sizes is None else sizes, np.float32),
        {name: np.array(texts, np.str_) for name, texts in groups.items()},
    )


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def draw_labels(rng: np.random.Generator, probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """A label for each row, drawn with the row's probabilities."""
    below = probabilities.cumsum(axis=1) < rng.random((len(probabilities), 1))
    return np.minimum(below.sum(axis=1), probabilities.shape[1] - 1)


def test_summary() -> None:
    found = summarise(observe([0.9, 0.8, 0.7, 0.6, 0.2], [0, 0, 0, 1, 1]))
    assert (found.count, found.accuracy, found.abstained) == (5, pytest.approx(0.8), 0)
    assert found.balanced_accuracy == pytest.approx((3 / 3 + 1 / 2) / 2)
    assert found.accuracy_interval == pytest.approx(wilson_interval(4, 5))


def test_faces_under_the_threshold_count_nowhere_else() -> None:
    found = summarise(observe([0.95, 0.9, 0.45, 0.1], [0, 1, 0, 1]), 0.8)
    assert (found.count, found.abstained) == (4, 0.25)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.balanced_accuracy == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert summarise(observe([0.75], [0]), 0.75).abstained == 0  # at the threshold is enough


@pytest.mark.parametrize(
    ("observations", "abstained"), [(observe([], []), math.nan), (observe([0.6, 0.5], [0, 1]), 1.0)]
)
def test_nothing_predicted_is_nan(observations: Observations, abstained: float) -> None:
    found = summarise(observations, 0.9)
    assert found.count == len(observations)
    assert found.abstained == pytest.approx(abstained, nan_ok=True)
    figures = (found.accuracy, found.balanced_accuracy, found.calibration_error, *found.accuracy_interval)
    assert all(math.isnan(figure) for figure in figures)


def test_by_size() -> None:
    found = by_size(observe([0.9] * 6, [0, 1, 0, 0, 0, 1], [15.9, 16, 31.9, 32, 128, 500]))
    assert list(found) == ["under 16", "16–32", "32–64", "64–128", "over 128"]
    assert [summary.count for summary in found.values()] == [1, 2, 1, 0, 2]
    assert [summary.accuracy for summary in found.values()] == pytest.approx(
        [1, 0.5, 1, math.nan, 0.5], nan_ok=True
    )


def test_by_group() -> None:
    observations = observe([0.9, 0.8, 0.55, 0.9, 0.9], [0, 1, 0, 0, 0], age=["10", "?", "9", "9", "nan"])
    found = by_group(observations, "age", 0.6)
    assert list(found) == ["9", "10", "?", "nan"]
    assert [summary.count for summary in found.values()] == [2, 1, 1, 1]
    assert [summary.abstained for summary in found.values()] == [0.5, 0, 0, 0]
    assert [summary.accuracy for summary in found.values()] == [1, 1, 0, 1]


def test_an_unknown_group_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no group column 'skin'; available: age"):
        by_group(observe([0.9], [0], age=["9"]), "skin")


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [
        (8, 10, (0.490162, 0.943318)),
        (0, 10, (0.0, 0.277533)),
        (10, 10, (0.722467, 1.0)),
        (50, 100, (0.403830, 0.596170)),
        (0, 0, (math.nan, math.nan)),
    ],
)
def test_wilson_interval(right: int, count: int, expected: tuple[float, float]) -> None:
    assert wilson_interval(right, count) == pytest.approx(expected, abs=1e-5, nan_ok=True)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_fraction(case: tuple[int, int]) -> None:
    low, high = wilson_interval(*case)
    assert 0 <= low <= case[0] / case[1] + 1e-12
    assert case[0] / case[1] - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("of_first", "labels", "expected"),
    [
        ([0.75] * 4, [0, 0, 0, 1], 0.0),
        ([1.0, 1.0, 0.0], [0, 0, 1], 0.0),
        ([1.0, 1.0], [0, 1], 0.5),
        ([0.9, 0.9, 0.6], [0, 0, 1], (2 * 0.1 + 0.6) / 3),
    ],
)
def test_calibration_error(of_first: list[float], labels: list[int], expected: float) -> None:
    assert summarise(observe(of_first, labels)).calibration_error == pytest.approx(expected, abs=1e-6)


def test_reliability_of_each_bin() -> None:
    found = reliability(observe([0.55, 0.05, 0.6, 0.8, 1.0], [0, 1, 1, 0, 0]), 0.58, bins=4)
    np.testing.assert_array_equal(found.count, [0, 0, 1, 3])
    np.testing.assert_allclose(found.confidence, [math.nan, math.nan, 0.6, (0.95 + 0.8 + 1) / 3], rtol=1e-6)
    np.testing.assert_allclose(found.accuracy, [math.nan, math.nan, 0, 1])


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(2, 5), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_figures_agree_with_each_other(count: int, classes: int, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 2, (count, classes))).astype(np.float32)
    labels, sizes = rng.integers(0, classes, count), rng.uniform(1, 300, count).astype(np.float32)
    observations = Observations(probabilities, labels, sizes)
    found, bins = summarise(observations, threshold), reliability(observations, threshold)
    judged = count - round(count * found.abstained) if count else 0
    assert bins.count.sum() == judged
    if judged:
        assert np.nansum(bins.accuracy * bins.count) / judged == pytest.approx(found.accuracy)
        assert 0 <= found.calibration_error <= 1
        assert found.accuracy_interval[0] <= found.accuracy <= found.accuracy_interval[1]
    assert sum(summary.count for summary in by_size(observations, threshold).values()) == count


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_temperature_is_the_scale_of_the_logits(scale: float, classes: int) -> None:
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 2, (8_000, classes))
    labels = draw_labels(rng, softmax(logits))
    fitted = fit_temperature((scale * logits + 1000).astype(np.float32), labels)
    assert fitted == pytest.approx(scale, rel=0.06)
    calibrated = Observations(
        softmax(scale * logits / fitted).astype(np.float32), labels, np.ones(len(labels), np.float32)
    )
    assert summarise(calibrated).calibration_error < 0.025


def test_observations_at_another_temperature() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (50, 3)).astype(np.float32)
    cold = Observations(softmax(logits), np.zeros(50, np.int64), np.ones(50, np.float32))
    np.testing.assert_allclose(cold.tempered(3.0).probabilities, softmax(logits / 3), rtol=1e-4)
    np.testing.assert_array_equal(cold.tempered(3.0).labels, cold.labels)


def test_temperature_is_the_lowest_point_of_the_loss() -> None:
    logits, labels = np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])
    # A label counts 5/6: (3 · 5/6 + 1/6) / 4 = 2/3, and the softmax is 2/3 at this temperature.
    assert fit_temperature(logits, labels) == pytest.approx(2 / math.log(2), rel=1e-4)


@pytest.mark.parametrize(("classes", "certain"), [(2, 51 / 52), (3, 51 / 53)])
def test_faces_that_are_all_right_do_not_make_every_prediction_certain(classes: int, certain: float) -> None:
    logits = np.zeros((50, classes))
    logits[:, 1] = 1.5
    temperature = fit_temperature(logits, np.ones(50, np.int64))
    assert softmax(logits / temperature)[0, 1] == pytest.approx(certain, rel=1e-4)


@pytest.mark.parametrize(("labels", "expected"), [([0] * 30, 0.05), ([1, 1], 20.0)])
def test_temperature_stays_in_its_range(labels: list[int], expected: float) -> None:
    logits = np.array([[0.1, 0.0]] * len(labels))
    assert fit_temperature(logits, np.array(labels)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        (np.zeros((0, 2)), np.zeros(0, np.int64), "logits must be"),
        (np.zeros((2, 2)), np.zeros(3, np.int64), "logits must be"),
        (np.zeros((2, 2)), np.array([0, 2]), "labels must be 0–1"),
        (np.zeros((2, 2)), np.array([0, -1]), "labels must be 0–1"),
        (np.array([[0.0, np.nan]]), np.array([0]), "finite"),
    ],
)
def test_temperature_refuses(logits: NDArray[Any], labels: NDArray[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit_temperature(logits, labels)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"probabilities": np.zeros(2, np.float32)}, r"probabilities must be \(N, C\)"),
        ({"probabilities": np.full((2, 2), 1.1, np.float32)}, "probabilities must be 0–1"),
        ({"probabilities": np.full((2, 2), np.nan, np.float32)}, "probabilities must be 0–1"),
        ({"labels": np.array([0])}, r"labels must be \(2,\)"),
        ({"labels": np.array([0, -1])}, "labels must be 0–1"),
        ({"labels": np.array([0, 2])}, "labels must be 0–1"),
        ({"sizes": np.array([1, -1], np.float32)}, "sizes must be 0"),
        ({"sizes": np.array([1, np.nan], np.float32)}, "sizes must be 0"),
        ({"groups": {"age": np.array(["7"])}}, r"age must be \(2,\)"),
    ],
)
def test_observations_that_do_not_fit_are_refused(changes: dict[str, Any], reason: str) -> None:
    columns: dict[str, Any] = {
        "probabilities": np.full((2, 2), 0.5, np.float32),
        "labels": np.array([0, 1]),
        "sizes": np.array([9, 9], np.float32),
    }
    with pytest.raises(ValueError, match=reason):
        Observations(**{**columns, **changes})


def test_table() -> None:
    rows = {
        "all": Summary(1234, 0.8, 0.75, (0.49016, 0.94332), 0.0312, 0.05),
        "a|b": Summary(0, math.nan, math.nan, (math.nan, math.nan), math.nan, math.nan),
    }
    assert format_table(rows).splitlines() == [
        "| group | faces |    accuracy [95 %] | balanced accuracy | calibration error | abstained |",
        "| :---- | ----: | -----------------: | ----------------: | ----------------: | --------: |",
        "| all   | 1,234 | 80.0 % [49.0–94.3] |            75.0 % |             3.1 % |     5.0 % |",
        r"| a\|b  |     0 |                  – |                 – |                 – |         – |",
    ]


def test_a_table_without_abstentions_has_no_column_of_them() -> None:
    rows = {"all": Summary(10, 0.8, 0.75, (0.49016, 0.94332), 0.0312, 0.0)}
    assert format_table(rows).splitlines()[0] == (
        "| group | faces |    accuracy [95 %] | balanced accuracy | calibration error |"
    )
