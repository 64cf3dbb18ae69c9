"""Measure the accuracy of gender by the size at which the network sees the same faces.

Run: python benchmarks/attribute_sizes.py DATA [--every N] [--docs]

Uses the pictures of DATA/labelled/test.csv (tools/locate_faces.py) with exactly one labelled face, of 32
pixels or more. Each face is seen at each of `SIZES`: its picture is enlarged or reduced accordingly. Faces
that are not found at a size do not count there.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from attribute_card import SMALLEST
from documents import put
from rich.progress import track

import s3fd
from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data import labels as label_files
from s3fd.data.labels import LabelledPicture
from s3fd.data.targets import parse_target
from s3fd.evaluation.attribute_faces import faces_of
from s3fd.inference.pictures import Picture

SIZES = (32, 45, 64, 90, 128, 180, 256, 360)
"""Sizes of the face as the network sees it: geometric mean of its sides, in pixels."""

MIN_SCORE = 0.1
"""Low, so that nearly every face is found at every size."""


def main() -> None:
    """Measure and print the table, and write it into the documentation if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--every", type=int, default=1, help="use every EVERY-th picture")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/attributes.md")
    args = parser.parse_args()
    detector = s3fd.load(args.weights, size="original", min_score=MIN_SCORE, attributes=("gender",))
    target = parse_target("Gender:F=female,M=male")
    labels = label_files.read(args.data / "labelled" / "test.csv", args.data, [target])
    right: dict[str, list[list[float]]] = defaultdict(list)
    for item in track(labels.pictures[:: args.every], description="looking"):
        known = np.flatnonzero(item.labels["Gender"] >= 0)
        if item.boxes is None or len(known) != 1:
            continue
        side = float(np.sqrt(box_ops.area(item.boxes[known])[0]))
        if side >= SMALLEST:
            picture = detector.prepare(item.path)
            row = [is_right(detector, item, int(known[0]), picture, size / side) for size in SIZES]
            right[item.extra["pack"][0]].append(row)
    table = format_table({pack: np.array(rows) for pack, rows in right.items()})
    print(table)
    if args.docs:
        put("docs/attributes.md", "benchmarks/attribute_sizes.py", table)


def is_right(
    detector: s3fd.Detector, item: LabelledPicture, row: int, picture: Picture, scale: float
) -> float:
    """Return 1 if the face of a `row` is classified correctly at `scale`, else 0; NaN if it is not found."""
    size = round(max(picture.width, picture.height) * scale)
    faces = detector.find_probabilities(picture, size=size)
    (face,) = faces_of(item, np.array([row]), faces)
    if face is None:
        return float("nan")
    return float(faces.attributes["gender"][face].argmax() == item.labels["Gender"][row])


def format_table(right: Mapping[str, FloatArray]) -> str:
    """Format the accuracy in per cent, one row per pack.

    Args:
        right: by pack, 1 for a correct and 0 for a wrong prediction (N, sizes), NaN for a face not found.
    """
    sizes = " | ".join(f"{size} px" for size in SIZES)
    lines = [f"| faces of | number | {sizes} |", "|:---|---:|" + "---:|" * len(SIZES)]
    for pack, rows in sorted(right.items()):
        shares = " | ".join(f"{100 * share:.1f} %" for share in np.nanmean(rows, axis=0))
        lines.append(f"| {pack} | {len(rows):,} | {shares} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
