"""Face verification by the protocol of Labeled Faces in the Wild, view 2: do two pictures show one person?

Huang et al., "Labeled Faces in the Wild" (2007), section 4: each fold uses the threshold that is best on all
other folds; the result is the mean accuracy over the folds and its standard error.
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
    """Two pictures, each given by a person's name and the picture's number, and the fold of the pair."""

    first: tuple[str, int]
    second: tuple[str, int]
    fold: int

    @property
    def same(self) -> bool:
        """Whether both pictures show the same person."""
        return self.first[0] == self.second[0]


@dataclass(frozen=True, eq=False)
class Roc:
    """True accepts over false accepts; both rise from 0 to 1 as the threshold falls.

    Attributes:
        false_accepts: (T,) share of pairs of different people with a score at or over the threshold.
        true_accepts: (T,) share of pairs of the same person with a score at or over the threshold.
    """

    false_accepts: NDArray[np.float64]
    true_accepts: NDArray[np.float64]

    def at(self, false_accepts: float) -> float:
        """Return the largest share of true accepts at a share of at most `false_accepts` (0–1)."""
        return float(self.true_accepts[self.false_accepts <= false_accepts].max())


@dataclass(frozen=True, eq=False)
class Verification:
    """Results of the protocol.

    Attributes:
        accuracies: (K,) accuracy on each fold, with the threshold chosen on the other folds.
        thresholds: (K,) threshold used on each fold.
        roc: ROC curve of all pairs.
    """

    accuracies: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    roc: Roc

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the folds."""
        return float(self.accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean accuracy, from its spread over the folds."""
        return float(self.accuracies.std(ddof=1) / math.sqrt(len(self.accuracies)))


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs in the format of LFW's ``pairs.txt``.

    The first line is ``FOLDS SIZE``. Each fold then has SIZE lines with pairs of the same person and SIZE
    lines with pairs of different people.

    Raises:
        ValueError: the file is not UTF-8, or does not follow the format; the message is
            ``file:line: what is wrong``.
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
            f"{path}:{len(lines)}: expected 2 × {size} pairs in each of {folds} folds (at least two folds), "
            f"found {len(lines) - 1} lines"
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
            raise ValueError(f"{path}:{number + 2}: expected two different people, found one")
        pairs.append(pair)
    return pairs


def roc(scores: NDArray[np.floating[Any]], same: NDArray[np.bool_]) -> Roc:
    """Compute the ROC curve of pairs with `scores` (N,); equal scores are accepted together.

    Raises:
        ValueError: there are no pairs of the same person, or none of different people.
    """
    if not same.any() or same.all():
        raise ValueError("a ROC curve needs pairs of the same person and pairs of different people")
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], same[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # last of each run of equal scores
    true = np.append(0, np.cumsum(right)[last]) / same.sum()
    false = np.append(0, np.cumsum(~right)[last]) / (~same).sum()
    return Roc(false, true)


def best_threshold(scores: NDArray[np.floating[Any]], same: NDArray[np.bool_]) -> float:
    """Return the threshold with the most correct decisions, where a score at or over it means "same".

    It lies half-way between two scores, or 1 outside their range. Of equally good thresholds, it is the
    highest.
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
    """Evaluate pairs by the protocol.

    Args:
        scores: (N,) similarity of each pair.
        same: (N,) whether the pair shows the same person.
        folds: (N,) fold of each pair.

    Raises:
        ValueError: there are fewer than two folds, or all pairs are of one kind.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        raise ValueError("at least two folds are needed: the threshold of each is chosen on the others")
    accuracies, thresholds = [], []
    for fold in numbers:
        test = folds == fold
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(float(((scores[test] >= threshold) == same[test]).mean()))
        thresholds.append(threshold)
    return Verification(np.array(accuracies), np.array(thresholds), roc(scores, same))


def _layout(same: bool) -> str:
    """Describe a line of a fold's first half (`same`) or second half."""
    return "a name and two numbers" if same else "a name, a number, a name and a number"
