"""Evaluate an attribute: read labels, pictures and weights, and summarise its accuracy by group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s3fd.counted import counted
from s3fd.data import labels as label_files
from s3fd.data.sample import Problem
from s3fd.data.targets import parse_target
from s3fd.evaluation.attribute_faces import observe
from s3fd.evaluation.attributes import (
    Reliability,
    Summary,
    by_group,
    by_size,
    format_table,
    reliability,
    summarise,
)
from s3fd.inference.detector import Detector
from s3fd.inference.resize import parse_size
from s3fd.inference.runtime import open_runtime


@dataclass(frozen=True, eq=False)
class AttributeReport:
    """Accuracy of an attribute.

    Attributes:
        attribute: name of the attribute.
        found: number of labelled faces that the detector found.
        missed: number of labelled faces that it did not find, including those in unreadable pictures; no
            other figure counts them.
        sections: summaries by group, for the sections ``all faces``, ``face size`` and each requested column.
        reliability: confidence and accuracy in bins.
        problems: rows of the table that were skipped, and rows whose picture cannot be read.
    """

    attribute: str
    found: int
    missed: int
    sections: Mapping[str, Mapping[str, Summary]]
    reliability: Reliability
    problems: Sequence[Problem]

    def text(self) -> str:
        """Return the report as readable tables."""
        parts = [f"{self.attribute}: {counted(self.found, 'labelled face')} found, {self.missed} not"]
        for title, rows in self.sections.items():
            parts.append(f"by {title}" if title != ALL else "")
            parts.append(format_table(rows))
        return "\n\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-serialisable values; undefined figures are null."""
        sections = {
            title: {group: _plain(asdict(summary)) for group, summary in rows.items()}
            for title, rows in self.sections.items()
        }
        return {"attribute": self.attribute, "found": self.found, "missed": self.missed, **sections}


ALL = "all faces"


def evaluate(
    csv: Path,
    images: Path,
    target: str,
    *,
    weights: str = "slim",
    name: str | None = None,
    groups: Sequence[str] = (),
    min_probability: float = 0.0,
    size: str = "vga",
    threads: int | None = None,
) -> AttributeReport:
    """Measure the attribute `name` of `weights` on the labels of `csv`, as ``s3fd eval attribute`` does.

    Raises:
        ValueError: the labels, weights, size or columns cannot be used, or no face is found at all.
        OSError: a file cannot be read.
    """
    labels = label_files.read(csv, images, [parse_target(target)])
    (column,) = labels.targets
    name = name or column.column.lower()
    detector = Detector(open_runtime(weights, threads), size=parse_size(size), attributes=(name,))
    check_classes(name, detector.runtime.classes[name], column.names)
    label_files.check_groups(csv, labels, groups)
    told = observe(detector, name, labels.pictures, column.column, groups)
    faces = told.observations
    if not len(faces):
        raise ValueError(f"{csv}: the detector found none of the {told.missed} labelled faces")
    sections = {ALL: {"all": summarise(faces, min_probability)}, "face size": by_size(faces, min_probability)}
    sections |= {group: by_group(faces, group, min_probability) for group in groups}
    problems = labels.problems + [
        Problem(csv, line, f"{why}; counted as not found") for line, why in told.unread
    ]
    return AttributeReport(name, len(faces), told.missed, sections, reliability(faces), problems)


def check_classes(name: str, told: Sequence[str], asked: Sequence[str]) -> None:
    """Raise ValueError unless the labels have the same classes as the weights, in the same order."""
    if tuple(told) != tuple(asked):
        hint = ",".join(f"VALUE={label}" for label in told)
        raise ValueError(
            f"{name} has the classes {', '.join(told)} in the weights, but {', '.join(asked)} in the labels: "
            f"map them with --target COLUMN:{hint}"
        )


def _plain(value: Any) -> Any:
    """Replace NaN, which JSON lacks, by None, and tuples by lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
