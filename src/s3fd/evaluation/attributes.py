"""How right predicted attributes of faces are, how far their probabilities can be trusted, and for whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

SIZE_EDGES = (16, 32, 64, 128)
"""Where the groups of `by_size` meet: geometric mean of a face's width and height in pixels."""

BINS = 15
"""Bins of equal width that confidences are sorted into (Guo et al., 2017)."""

Z_95 = 1.959964
"""Standard deviations either side of a normal distribution's mean that hold 95 % of it."""

ROUNDING = 1e-5
"""By how much float32 may take a probability past 1."""

TEMPERATURES = (0.05, 20.0)
"""Range that `fit_temperature` looks in."""


@dataclass(frozen=True, eq=False)
class Observations:
    """What was predicted of N faces, and what is right.

    Attributes:
        probabilities: (N, C) float32 in 0–1, of each class.
        labels: (N,) int64, the right class of each.
        sizes: (N,) float32, geometric mean of each face's width and height in pixels.
        groups: further texts by name, such as age or skin, (N,) each.
    """

    probabilities: FloatArray
    labels: Integers
    sizes: FloatArray
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the columns agree.

        Raises:
            ValueError: a column whose shape does not fit, a probability outside 0–1, a label that is no
                class, a size that is negative or not finite.
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


@dataclass(frozen=True)
class Summary:
    """How right the predictions of some faces are; all fractions are 0–1, NaN where nothing was predicted.

    Attributes:
        count: number of faces, those abstained from among them.
        accuracy: fraction of the predictions that are right.
        balanced_accuracy: mean over the classes present of the fraction of their faces told rightly.
        accuracy_interval: lowest and highest accuracy in 95 % confidence (Wilson's score interval).
        calibration_error: mean distance of confidence and accuracy, see `Reliability.calibration_error`.
        abstained: fraction of the faces whose best class is less probable than the threshold: they count
            nowhere else but in `count`.
    """

    count: int
    accuracy: float
    balanced_accuracy: float
    accuracy_interval: tuple[float, float]
    calibration_error: float
    abstained: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence, the probability of the best class, beside accuracy in bins of equal width from 0 to 1.

    Attributes:
        confidence: (B,) mean confidence in each bin, NaN where no face is.
        accuracy: (B,) fraction of right predictions in each bin, NaN where no face is.
        count: (B,) faces in each bin.
    """

    confidence: Doubles
    accuracy: Doubles
    count: Integers

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean over the faces of how far accuracy and confidence are apart.

        0 is perfect, NaN stands for no faces.
        """
        used = self.count > 0
        if not used.any():
            return math.nan
        apart = np.abs(self.confidence[used] - self.accuracy[used])
        return float(np.average(apart, weights=self.count[used]))


def summarise(observations: Observations, min_probability: float = 0.0) -> Summary:
    """Sum up predictions, abstaining where the best class is less probable than `min_probability`."""
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
    """Sum up the faces under, between and over the `SIZE_EDGES`, small to large.

    A size on an edge belongs to the larger group. Every group is there, also one without faces.
    """
    low, high = SIZE_EDGES[0], SIZE_EDGES[-1]
    names = [f"under {low}", *(f"{a}–{b}" for a, b in pairwise(SIZE_EDGES)), f"over {high}"]
    group = np.digitize(observations.sizes, SIZE_EDGES)
    return {name: summarise(observations.only(group == i), min_probability) for i, name in enumerate(names)}


def by_group(observations: Observations, column: str, min_probability: float = 0.0) -> dict[str, Summary]:
    """Sum up the faces of each text in one of the groups: numbers first and by size, then texts by letter.

    Raises:
        KeyError: no such group.
    """
    if column not in observations.groups:
        raise KeyError(f"no group {column!r}; there are {', '.join(observations.groups) or 'none'}")
    texts = observations.groups[column]
    names = sorted(np.unique(texts).tolist(), key=_numbers_first)
    return {name: summarise(observations.only(texts == name), min_probability) for name in names}


def reliability(observations: Observations, min_probability: float = 0.0, bins: int = BINS) -> Reliability:
    """Compare confidence and accuracy in `bins` bins, over the faces that are not abstained from."""
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
    """95 % confidence interval of a fraction, `right` of `count`; NaN for none.

    Wilson's holds for few faces and for fractions near 0 and 1, where ± deviations leave the range.
    """
    if count == 0:
        return math.nan, math.nan
    fraction, z2 = right / count, Z_95**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(fraction * (1 - fraction) / count + z2 / (4 * count**2))
    # Rounding must not part the interval from its fraction.
    return max(min(centre - half, fraction), 0.0), min(max(centre + half, fraction), 1.0)


def fit_temperature(logits: NDArray[np.floating[Any]], labels: Integers) -> float:
    """Find the T for which softmax(logits / T) gives the labels the greatest likelihood.

    Args:
        logits: (N, C), N ≥ 1, of faces that were not trained on.
        labels: (N,) the right class of each.

    Returns:
        T within `TEMPERATURES`: over 1 where the logits are too sure, towards the range's lower end where
        they are never wrong.

    Raises:
        ValueError: no faces, shapes that do not fit, a label that is no class, a logit that is not finite.
    """
    if logits.ndim != 2 or len(logits) == 0 or labels.shape != (len(logits),):
        raise ValueError(f"logits must be (N, C) and labels (N,), not {logits.shape} and {labels.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    _check_labels(labels, logits.shape[1])
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    of_label = scores[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(scores * inverse).sum(axis=1)) - of_label * inverse))

    # The loss is convex in 1 / T, hence falls and then rises in log T: golden sections find its lowest point.
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
    """Write summaries by group as a Markdown table with aligned columns, in percent; – stands for none.

    The column of faces abstained from is there where there are any.
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
