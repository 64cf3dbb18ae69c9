"""Verification errors by group of people, such as perceived gender."""

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
    """Error rates of the pairs within one group.

    Attributes:
        same: number of pairs of the same person.
        different: number of pairs of different people.
        false_rejects: share of the `same` pairs that are rejected.
        false_accepts: share of the `different` pairs that are accepted.
    """

    same: int
    different: int
    false_rejects: float
    false_accepts: float


def read_groups(table: Path, column: str, person: str = "Person") -> dict[str, str]:
    """Read the group of each person from a CSV table; empty cells are ignored.

    Args:
        table: the CSV file.
        column: column of groups.
        person: column of people's names. The first row with a group counts.

    Raises:
        ValueError: the table is not UTF-8, or has no such column.
        OSError: the table cannot be read.
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
    """Return the errors of the pairs within each group, at the threshold of each pair's fold.

    Pairs across two groups, which are easier to tell apart, count in neither. Groups without pairs of the
    same person or without pairs of different people are left out.
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
