"""Measure the gender tables in the card of the bundled weights: by source, by size and by group.

Run: python benchmarks/attribute_card.py DATA WIDER_VAL [--size SIZE] [--docs]

DATA/labelled/test.csv is what tools/locate_faces.py held out for testing. WIDER_VAL has the crowds
(wider_val_demographics.csv and WIDER_val/images). Both are seen at `auto`, or SIZE, and only faces of 32
pixels and more that the detector finds count. The crowds are also measured at `vga`, with faces of every
size. --docs writes the tables into the card and docs/attributes.md, and the accuracy of each source into
slim.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from documents import ROOT, put

import s3fd
from s3fd.data import labels as label_files
from s3fd.data.targets import parse_target
from s3fd.evaluation.attribute_faces import Found, observe
from s3fd.evaluation.attributes import Observations, Summary, by_group, by_size, format_table, summarise

SMALLEST = 32
"""Least size of a face that counts, in pixels. Smaller faces in portraits and crops were not labelled."""

AGE_EDGES = (13, 20, 40, 60)

CARD = "src/s3fd/weights/slim.md"

SOURCES = {
    "portraits": "portraits",
    "lfw_subset": "LFW, press photographs",
    "aligned_crops": "aligned crops",
    "group_crops": "crops of group photographs",
    "crowds": "crowds (WIDER FACE, of a set never trained on)",
    "crowds_vga": "crowds at `vga`, faces of every size",
}
"""Names of the sources in docs/attributes.md."""

Sections = Mapping[str, Mapping[str, Summary]]
"""Summaries by the title of a table, then by group."""


def main() -> None:
    """Measure and print the tables, and write them into the documentation if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("wider", type=Path)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--size", default="auto", help="size of all tables but those of crowds at vga")
    parser.add_argument("--docs", action="store_true", help="write the tables into the documentation")
    args = parser.parse_args()
    sections = measure(args.weights, args.data, args.wider, args.size)
    for title, rows in sections.items():
        print(f"{title}\n\n{format_table(rows)}\n", flush=True)
    if args.docs:
        write(sections)


def measure(weights: str, data: Path, wider: Path, size: str) -> Sections:
    """Measure all tables of the card."""
    table = data / "labelled" / "test.csv"
    target, columns = "Gender:F=female,M=male", ("pack", "Age", "Ethnicity")
    told = observed(look(weights, size, table, data, target, columns))
    crowds = (wider / "wider_val_demographics.csv", wider / "WIDER_val" / "images")
    target, columns = "gender:Female=female,Male=male", ("age", "skin")
    crowd = observed(look(weights, size, *crowds, target, columns))
    everyone = look(weights, "vga", *crowds, target, columns).observations
    sources = {**by_group(told, "pack"), "crowds": summarise(crowd), "crowds_vga": summarise(everyone)}
    of_known = told.only(told.groups["Ethnicity"] != "")
    sections = {
        "by source": sources,
        "by size": by_size(told),
        "by ethnicity": by_group(of_known, "Ethnicity"),
        "by age": by_group(with_age_band(told), "band"),
        "crowds, by size": by_size(crowd),
        "crowds, by apparent age": by_group(crowd, "age"),
        "crowds, by skin type": by_group(crowd, "skin"),
        "crowds at vga, by size": by_size(everyone),
    }
    return {title: {k: v for k, v in rows.items() if v.count} for title, rows in sections.items()}


def look(weights: str, size: str, table: Path, images: Path, target: str, groups: tuple[str, ...]) -> Found:
    """Predict the gender of the labelled faces of a table."""
    detector = s3fd.load(weights, size=size, attributes=("gender",))
    labels = label_files.read(table, images, [parse_target(target)])
    (column,) = labels.targets
    return observe(detector, "gender", labels.pictures, column.column, groups)


def observed(found: Found) -> Observations:
    """Return the predictions for faces of `SMALLEST` pixels and more, and print how many were not found."""
    faces = found.observations
    print(f"{found.missed:,} of {found.missed + len(faces):,} labelled faces were not found\n", flush=True)
    return faces.only(faces.sizes >= SMALLEST)


def with_age_band(told: Observations) -> Observations:
    """Return the faces whose age is known, with their age group as `band`."""
    told = told.only(told.groups["Age"] != "")
    edges = (0, *AGE_EDGES)
    names = np.array(
        [*(f"{a}–{b - 1}" for a, b in zip(edges, AGE_EDGES, strict=False)), f"{edges[-1]} and over"]
    )
    bands = names[np.digitize(told.groups["Age"].astype(float), AGE_EDGES)]
    return Observations(told.probabilities, told.labels, told.sizes, {"band": bands})


def write(sections: Sections) -> None:
    """Write the tables into the card and docs/attributes.md, and the accuracy by source into slim.json."""
    for title, rows in sections.items():
        put(CARD, f"benchmarks/attribute_card.py {title}", format_table(rows))
    sources = sections["by source"]
    named = {name: sources[key] for key, name in SOURCES.items()}
    put("docs/attributes.md", "benchmarks/attribute_card.py by source", format_table(named))
    path = ROOT / "src" / "s3fd" / "weights" / "slim.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["gender"] = {key: round(summary.accuracy, 3) for key, summary in sources.items()}
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
