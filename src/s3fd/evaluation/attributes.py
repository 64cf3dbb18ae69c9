"""Accuracy and calibration of predicted face attributes, overall and by group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

SIZE_EDGES = (16, 32, 64, 128)
"""Boundaries between the groups of `by_size`: geometric mean of a face's width and height in pixels."""

BINS = 15
"""Number of equal-width confidence bins (Guo et al., 2017)."""

Z_95 = 1.959964
"""Number of standard deviations on either side of the mean that contain 95 % of a normal distribution."""

ROUNDING = 1e-5
"""Amount by which float32 rounding may push a probability over 1."""

LEAST = 1e-6
"""Smallest probability that has a logit; smaller ones are raised to it."""

TEMPERATURES = (0.05, 20.0)
"""Range that `fit_temperature` searches."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Predictions and labels of N faces.

    Attributes:
        probabilities: (N, C) float32 in 0–1, the predicted probability of each class.
        labels: (N,) int64, the true class of each face.
        sizes: (N,) float32, geometric mean of each face's width and height in pixels.
        groups: further columns of text by name, such as age or skin, (N,) each.
    """

    probabilities: FloatArray
    labels: Integers
    sizes: FloatArray
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the columns agree.

        Raises:
            ValueError: the shape of a column does not fit, a probability is outside 0–1, a label is not a
                class, or a size is negative or not finite.
        """
        if self.probabilities.ndim != 2 or self.probabilities.shape[1] == 0:
            raise ValueError(f"probabilities must be (N, C), not {self.probabilities.shape}")
        count, classes = self.probabilities.shape
        columns: dict[str, NDArray[Any]] = {"labels": self.labels, "sizes": self.sizes, **self.groups}
        for name, column in columns.items():
            if column.shape != (count,):
                raise ValueError(f"{name} must be ({count},) for {count} faces, not {column.shape}")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1 + ROUNDING)).all():
            raise ValueError("probabilities must be 0–1")
        _check_labels(self.labels, classes)
        if not (np.isfinite(self.sizes) & (self.sizes >= 0)).all():
            raise ValueError("sizes must be 0 or more pixels")

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.labels)

    def only(self, chosen: NDArray[np.bool_]) -> Observations:
        """Return the faces where `chosen`, (N,), is True."""
        groups = {name: column[chosen] for name, column in self.groups.items()}
        return Observations(self.probabilities[chosen], self.labels[chosen], self.sizes[chosen], groups)

    def logits(self) -> FloatArray:
        """Return the logits (N, C) of the probabilities, up to a constant, which a softmax ignores."""
        return np.asarray(np.log(self.probabilities.clip(LEAST)), np.float32)

    def tempered(self, temperature: float) -> Observations:
        """Return the observations as they would be with logits divided by `temperature`."""
        powers = np.exp(self.logits() / temperature)
        return replace(self, probabilities=powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Summary:
    """Accuracy of the predictions for a set of faces; all fractions are 0–1, NaN where nothing was predicted.

    Attributes:
        count: number of faces, including those with abstentions.
        accuracy: fraction of the predictions that are correct.
        balanced_accuracy: mean recall over the classes present.
        accuracy_interval: lower and upper bound of the accuracy's 95 % confidence interval (Wilson's score
            interval).
        calibration_error: expected calibration error, see `Reliability.calibration_error`.
        abstained: fraction of the faces whose best class is less probable than the threshold; apart from
            `count`, no other figure includes them.
    """

    count: int
    accuracy: float
    balanced_accuracy: float
    accuracy_interval: tuple[float, float]
    calibration_error: float
    abstained: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence, which is the probability of the best class, and accuracy in B equal-width bins from 0 to 1.

    Attributes:
        confidence: (B,) mean confidence in each bin, NaN in empty bins.
        accuracy: (B,) fraction of correct predictions in each bin, NaN in empty bins.
        count: (B,) number of faces in each bin.
    """

    confidence: Doubles
    accuracy: Doubles
    count: Integers

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: gap between accuracy and confidence, averaged over bins by face count.

        0 is perfect; NaN means that there are no faces.
        """
        used = self.count > 0
        if not used.any():
            return math.nan
        apart = np.abs(self.confidence[used] - self.accuracy[used])
        return float(np.average(apart, weights=self.count[used]))


def summarise(observations: Observations, min_probability: float = 0.0) -> Summary:
    """Summarise predictions, abstaining where the best class is less probable than `min_probability`."""
    judged = _judged(observations, min_probability)
    right = judged.probabilities.argmax(axis=1) == judged.labels
    recalls = [right[judged.labels == label].mean() for label in np.unique(judged.labels)]
    return Summary(
        count=len(observations),
        accuracy=float(right.mean()) if len(right) else math.nan,
        balanced_accuracy=float(np.mean(recalls)) if recalls else math.nan,
        accuracy_interval=wilson_interval(int(right.sum()), len(right)),
        calibration_error=reliability(judged).calibration_error,
        abstained=(len(observations) - len(judged)) / len(observations) if len(observations) else math.nan,
    )


def by_size(observations: Observations, min_probability: float = 0.0) -> dict[str, Summary]:
    """Summarise the faces under, between and over the `SIZE_EDGES`, from small to large.

    A size on an edge belongs to the larger group. The result has every group, even one without faces.
    """
    low, high = SIZE_EDGES[0], SIZE_EDGES[-1]
    names = [f"under {low}", *(f"{a}–{b}" for a, b in pairwise(SIZE_EDGES)), f"over {high}"]
    group = np.digitize(observations.sizes, SIZE_EDGES)
    return {name: summarise(observations.only(group == i), min_probability) for i, name in enumerate(names)}


def by_group(observations: Observations, column: str, min_probability: float = 0.0) -> dict[str, Summary]:
    """Summarise the faces by value of a group column: numbers first in ascending order, then other texts.

    Raises:
        KeyError: there is no such column.
    """
    if column not in observations.groups:
        raise KeyError(f"no group column {column!r}; available: {', '.join(observations.groups) or 'none'}")
    texts = observations.groups[column]
    names = sorted(np.unique(texts).tolist(), key=_numbers_first)
    return {name: summarise(observations.only(texts == name), min_probability) for name in names}


def reliability(observations: Observations, min_probability: float = 0.0, bins: int = BINS) -> Reliability:
    """Compare confidence and accuracy in `bins` bins, leaving out abstentions."""
    judged = _judged(observations, min_probability)
    confidence = judged.probabilities.max(axis=1).astype(np.float64)
    right = judged.probabilities.argmax(axis=1) == judged.labels
    place = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    count = np.bincount(place, minlength=bins)

    def mean(values: NDArray[Any]) -> Doubles:
        total = np.bincount(place, weights=values, minlength=bins)
        quotient: Doubles = np.divide(total, count, out=np.full(bins, math.nan), where=count > 0)
        return quotient

    return Reliability(mean(confidence), mean(right), count.astype(np.int64))


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of the fraction `right` of `count`; NaN if `count` is 0.

    Wilson's interval is valid for few faces and for fractions near 0 and 1, where mean ± standard errors
    leaves the range 0–1.
    """
    if count == 0:
        return math.nan, math.nan
    fraction, z2 = right / count, Z_95**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(fraction * (1 - fraction) / count + z2 / (4 * count**2))
    # Despite rounding, the interval must contain the fraction.
    return max(min(centre - half, fraction), 0.0), min(max(centre + half, fraction), 1.0)


def fit_temperature(logits: NDArray[np.floating[Any]], labels: Integers) -> float:
    """Find the T that maximises the likelihood of the labels under softmax(logits / T).

    The labels are smoothed: of N faces and C classes, a label has the probability (N + 1) / (N + C), and each
    other class 1 / (N + C). A few faces that are all classified correctly therefore do not make every later
    prediction certain. This is Platt's remedy ("Probabilistic Outputs for Support Vector Machines", 1999,
    section 2.2), for any number of classes.

    Args:
        logits: (N, C), N ≥ 1, of faces that were not used for training.
        labels: (N,) the true class of each face.

    Returns:
        T within `TEMPERATURES`: over 1 if the logits are overconfident.

    Raises:
        ValueError: there are no faces, the shapes do not fit, a label is not a class, or a logit is not
            finite.
    """
    if logits.ndim != 2 or len(logits) == 0 or labels.shape != (len(logits),):
        raise ValueError(f"logits must be (N, C) and labels (N,), not {logits.shape} and {labels.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    _check_labels(labels, logits.shape[1])
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    faces, classes = scores.shape
    of_label = (faces * scores[np.arange(faces), labels] + scores.sum(axis=1)) / (faces + classes)

    def loss(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(scores * inverse).sum(axis=1)) - of_label * inverse))

    # The loss is convex in 1 / T, hence unimodal in log T: golden-section search finds its minimum.
    low, high = (math.log(t) for t in TEMPERATURES)
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-5:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def format_table(rows: Mapping[str, Summary]) -> str:
    """Format summaries by group as an aligned Markdown table, in percent; – marks undefined values.

    The table has the column of abstentions only if there are any.
    """
    header = ("group", "faces", "accuracy [95 %]", "balanced accuracy", "calibration error", "abstained")
    cells = [header, *((name.replace("|", r"\|"), *_cells(summary)) for name, summary in rows.items())]
    if not any(summary.abstained > 0 for summary in rows.values()):
        cells = [row[:-1] for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def _cells(summary: Summary) -> tuple[str, ...]:
    low, high = summary.accuracy_interval
    spread = "" if math.isnan(low) else f" [{100 * low:.1f}–{100 * high:.1f}]"
    rest = (summary.balanced_accuracy, summary.calibration_error, summary.abstained)
    return (f"{summary.count:,}", _percent(summary.accuracy) + spread, *(_percent(value) for value in rest))


def _percent(fraction: float) -> str:
    return "–" if math.isnan(fraction) else f"{100 * fraction:.1f} %"


def _judged(observations: Observations, min_probability: float) -> Observations:
    return observations.only(observations.probabilities.max(axis=1) >= min_probability)


def _check_labels(labels: Integers, classes: int) -> None:
    if not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(f"labels must be 0–{classes - 1}")


def _numbers_first(text: str) -> tuple[bool, float, str]:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return (False, number, text) if math.isfinite(number) else (True, 0.0, text)
