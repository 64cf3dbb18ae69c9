"""Errors of verification by group of people, such as perceived gender."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s3fd.data.sample import read_text
from s3fd.evaluation.verification_pictures import Judged


@dataclass(frozen=True)
class GroupErrors:
    """What goes wrong with pairs of two people, or two pictures, of one group.

    Attributes:
        same: pairs of one person.
        different: pairs of two people.
        false_rejects: share of `same` that is told to be two people.
        false_accepts: share of `different` that is told to be one person.
    """

    same: int
    different: int
    false_rejects: float
    false_accepts: float


def read_groups(table: Path, column: str, person: str = "Person") -> dict[str, str]:
    """The group of each person of a table with these columns; empty cells say nothing.

    Raises:
        ValueError: it is not in UTF-8, or has no such column.
        OSError: it cannot be read.
    """
    groups: dict[str, str] = {}
    reader = csv.DictReader(io.StringIO(read_text(table), newline=""))
    for name in (person, column):
        if name not in (reader.fieldnames or ()):
            there = ", ".join(reader.fieldnames or ())
            raise ValueError(f"{table}: no column {name!r}; it has {there}")
    for row in reader:
        if row[column]:
            groups.setdefault(row[person], row[column])
    return groups


def by_group(judged: Judged, groups: Mapping[str, str]) -> dict[str, GroupErrors]:
    """Errors of the pairs within each group, at the threshold of each pair's fold.

    Strangers of two groups are easier to tell apart, and are in none.
    """
    numbers = sorted({pair.fold for pair in judged.pairs})
    thresholds = dict(zip(numbers, judged.result.thresholds, strict=True))
    accepted = judged.scores >= [thresholds[pair.fold] for pair in judged.pairs]
    same = np.array([pair.same for pair in judged.pairs])
    sides = [(groups.get(pair.first[0]), groups.get(pair.second[0])) for pair in judged.pairs]
    errors = {}
    for name in sorted(set(groups.values())):
        within = np.array([a == b == name for a, b in sides])
        if (within & same).any() and (within & ~same).any():
            errors[name] = GroupErrors(
                same=int((within & same).sum()),
                different=int((within & ~same).sum()),
                false_rejects=float((~accepted[within & same]).mean()),
                false_accepts=float(accepted[within & ~same].mean()),
            )
    return errors
