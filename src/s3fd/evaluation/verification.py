"""Are two pictures of the same person? The protocol of Labeled Faces in the Wild, view 2.

Huang et al., "Labeled Faces in the Wild" (2007), section 4: in each fold, the threshold is the one that is
best on all other folds; the figure is the mean accuracy of the folds and its standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd.data.sample import read_text


@dataclass(frozen=True)
class Pair:
    """Two pictures, each a person's name and the number of the picture, and the fold they belong to."""

    first: tuple[str, int]
    second: tuple[str, int]
    fold: int

    @property
    def same(self) -> bool:
        """Whether both show one person."""
        return self.first[0] == self.second[0]


@dataclass(frozen=True, eq=False)
class Roc:
    """True against false accepts; both rise from 0 to 1, as the threshold falls.

    Attributes:
        false_accepts: (T,) share of pairs of different people at or over the threshold.
        true_accepts: (T,) share of pairs of one person.
    """

    false_accepts: NDArray[np.float64]
    true_accepts: NDArray[np.float64]

    def at(self, false_accepts: float) -> float:
        """Largest share of true accepts with no more than these `false_accepts` (0–1)."""
        return float(self.true_accepts[self.false_accepts <= false_accepts].max())


@dataclass(frozen=True, eq=False)
class Verification:
    """The figures of the protocol.

    Attributes:
        accuracies: (K,) of each fold, with the threshold of the others.
        thresholds: (K,) used in each fold.
        roc: of all pairs.
    """

    accuracies: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    roc: Roc

    @property
    def accuracy(self) -> float:
        """Mean of the folds."""
        return float(self.accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, from the spread of the folds."""
        return float(self.accuracies.std(ddof=1) / math.sqrt(len(self.accuracies)))


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs: ``FOLDS SIZE``, then in each fold SIZE lines of one person and SIZE of two.

    Raises:
        ValueError: not UTF-8, or a line that does not fit the layout, as ``file:line: what is wrong``.
        OSError: the file cannot be read.
    """
    lines = [line.split() for line in read_text(path).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    try:
        folds, size = map(int, lines[0])
    except (IndexError, ValueError):
        raise ValueError(f"{path}:1: expected the number of folds and of pairs") from None
    if folds < 2 or size < 1 or len(lines) != 1 + 2 * folds * size:
        raise ValueError(
            f"{path}:{len(lines)}: {folds} folds of 2 × {size} pairs are not {len(lines) - 1} lines"
        )
    pairs = []
    for number, words in enumerate(lines[1:]):
        fold, place = divmod(number, 2 * size)
        same = place < size
        try:
            if same:
                name, a, b = words
                pair = Pair((name, int(a)), (name, int(b)), fold)
            else:
                name, a, other, b = words
                pair = Pair((name, int(a)), (other, int(b)), fold)
        except ValueError:
            raise ValueError(f"{path}:{number + 2}: expected {_layout(same)}") from None
        if pair.same != same:
            raise ValueError(f"{path}:{number + 2}: expected two people, found one")
        pairs.append(pair)
    return pairs


def roc(scores: NDArray[np.floating[Any]], same: NDArray[np.bool_]) -> Roc:
    """Rates of accepting at every threshold; equal scores (N,) are accepted together.

    Raises:
        ValueError: no pair of one person, or none of two.
    """
    if not same.any() or same.all():
        raise ValueError("a ROC needs pairs of one person and of two")
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], same[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # of those with an equal score
    true = np.append(0, np.cumsum(right)[last]) / same.sum()
    false = np.append(0, np.cumsum(~right)[last]) / (~same).sum()
    return Roc(false, true)


def best_threshold(scores: NDArray[np.floating[Any]], same: NDArray[np.bool_]) -> float:
    """The threshold with the most right answers, where a score at or over it says "same".

    It lies half-way between two scores; of equally good ones it is the highest.
    """
    values = np.unique(scores).astype(np.float64)
    between = (values[1:] + values[:-1]) / 2
    candidates = np.concatenate([[values[0] - 1], between, [values[-1] + 1]])
    positive, negative = np.sort(scores[same]), np.sort(scores[~same])
    accepted = len(positive) - np.searchsorted(positive, candidates)
    rejected = np.searchsorted(negative, candidates)
    right = accepted + rejected
    return float(candidates[len(right) - 1 - np.argmax(right[::-1])])


def verify(
    scores: NDArray[np.floating[Any]], same: NDArray[np.bool_], folds: NDArray[np.integer[Any]]
) -> Verification:
    """Judge the `scores` (N,) of pairs that show the `same` person or not, in their `folds` (N,).

    Raises:
        ValueError: fewer than two folds, or pairs all of one kind.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        raise ValueError("a threshold is chosen on other folds: there must be two at least")
    accuracies, thresholds = [], []
    for fold in numbers:
        test = folds == fold
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(float(((scores[test] >= threshold) == same[test]).mean()))
        thresholds.append(threshold)
    return Verification(np.array(accuracies), np.array(thresholds), roc(scores, same))


def _layout(same: bool) -> str:
    """What a line of a fold's first or second half has."""
    return "a name and two numbers" if same else "a name, a number, a name and a number"
