"""The tables of gender in the card of the bundled weights: by source, by size, and the groups side by side.

Run: python benchmarks/attribute_card.py DATA WIDER_VAL

DATA/labelled/test.csv is what tools/locate_faces.py kept for testing, seen at the pictures' own size.
WIDER_VAL has the crowds (wider_val_demographics.csv and WIDER_val/images), seen at `vga`. Of both only what
the detector found counts, of the first only faces of 32 pixels and more. --json also writes the accuracy of
each source.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import s3fd
from s3fd.data import labels as label_files
from s3fd.data.targets import parse_target
from s3fd.evaluation.attribute_faces import Found, observe
from s3fd.evaluation.attributes import Observations, by_group, by_size, format_table, summarise

SMALLEST = 32
"""Pixels: under it, portraits and crops hold faces that nobody labelled."""

AGE_EDGES = (13, 20, 40, 60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("wider", type=Path)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = look(
        args.weights,
        "original",
        args.data / "labelled" / "test.csv",
        args.data,
        "Gender:F=female,M=male",
        ("pack", "Age", "Ethnicity"),
    )
    told = found.observations.only(found.observations.sizes >= SMALLEST)
    sources = by_group(told, "pack")
    show(f"by source ({found.missed} faces not found)", format_table(sources))
    show("by size", format_table(by_size(told)))
    of_known = told.only(told.groups["Ethnicity"] != "")
    show("by ethnicity, as its annotators named it", format_table(by_group(of_known, "Ethnicity")))
    show("by age in years", format_table(by_group(with_age_band(told), "band")))
    images = args.wider / "WIDER_val" / "images"
    table = args.wider / "wider_val_demographics.csv"
    crowd = look(
        args.weights, "vga", table, images, "gender:Female=female,Male=male", ("gender", "age", "skin")
    )
    faces = crowd.observations
    show(f"crowds ({crowd.missed} faces not found)", format_table({"all": summarise(faces)}))
    show("crowds, by size in the picture", format_table(by_size(faces)))
    for column, title in (("age", "apparent age"), ("skin", "skin type (Fitzpatrick)")):
        show(f"crowds, by {title}", format_table(by_group(faces, column)))
    if args.json:
        accuracies = {name: round(summary.accuracy, 3) for name, summary in sources.items()}
        accuracies["crowds"] = round(summarise(faces).accuracy, 3)
        args.json.write_text(json.dumps(accuracies, indent=2) + "\n")


def look(weights: str, size: str, table: Path, images: Path, target: str, groups: tuple[str, ...]) -> Found:
    """What the weights say of the labelled faces of a table."""
    detector = s3fd.load(weights, size=size, attributes=("gender",))
    labels = label_files.read(table, images, [parse_target(target)])
    (column,) = labels.targets
    known = tuple(group for group in groups if group in labels.pictures[0].extra)
    return observe(detector, "gender", labels.pictures, column.column, known)


def with_age_band(told: Observations) -> Observations:
    """The faces whose age is known, with a group `band`."""
    told = told.only(told.groups["Age"] != "")
    edges = (0, *AGE_EDGES)
    names = np.array(
        [*(f"{a}–{b - 1}" for a, b in zip(edges, AGE_EDGES, strict=False)), f"{edges[-1]} and over"]
    )
    bands = names[np.digitize(told.groups["Age"].astype(float), AGE_EDGES)]
    return Observations(told.probabilities, told.labels, told.sizes, {"band": bands})


def show(title: str, table: str) -> None:
    """Print a table under its title."""
    print(f"{title}\n\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
