"""Measure how many of a crowd's faces are found, by the gender, age and skin type that annotators saw.

Run: python benchmarks/found_by_group.py WIDER_VAL [--weights slim] [--score 0.5]

WIDER_VAL has wider_val_demographics.csv and WIDER_val/images. A face counts as found if a box that scores
over the threshold has an IoU of 0.4 or more with it. Size matters more than anything else and differs between
the groups. The table therefore gives the plain share with a 95 % interval (Wilson), and next to it the share
that a group would have if its faces had the sizes of all (direct standardisation over `EDGES`).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

import s3fd
from s3fd import boxes as box_ops
from s3fd.evaluation.attribute_faces import SAME_FACE
from s3fd.evaluation.attributes import wilson_interval
from s3fd.inference import pictures
from s3fd.inference.resize import VGA

EDGES = (12, 16, 24, 32, 48, 64)
"""Bounds of the size classes that are compared, in pixels of the picture as the detector sees it."""

COLUMNS = ("gender", "age", "skin")


def main() -> None:
    """Detect, count and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wider", type=Path)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--score", type=float, default=0.5)
    args = parser.parse_args()
    rows, sizes, found = look(args.wider, args.weights, args.score)
    classes = np.digitize(sizes, EDGES)
    everyone = np.bincount(classes, minlength=len(EDGES) + 1) / len(classes)
    print(f"{len(rows)} faces, {found.mean():.1%} found; median size {np.median(sizes):.0f} pixels")
    for column in COLUMNS:
        values = np.array([row[column] for row in rows])
        print(
            f"\n| {column} | faces | median size | found [95 %] | at equal sizes |\n|---|---:|---:|---:|---:|"
        )
        for value in sorted(set(values)):
            chosen = values == value
            low, high = wilson_interval(int(found[chosen].sum()), int(chosen.sum()))
            print(
                f"| {value} | {chosen.sum():,} | {np.median(sizes[chosen]):.0f} | "
                f"{found[chosen].mean():.1%} [{low:.1%}–{high:.1%}] | "
                f"{standardised(found[chosen], classes[chosen], everyone):.1%} |"
            )


def look(folder: Path, weights: str, score: float) -> tuple[list[dict[str, str]], np.ndarray, np.ndarray]:
    """Return the labelled faces, their sizes (N,) in pixels at `vga`, and which of them are found (N,)."""
    labelled: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "wider_val_demographics.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labelled[row["image"]].append(row)
    detector = s3fd.load(weights, size="vga", min_score=score)
    rows, sizes, found = [], [], []
    for name, own in labelled.items():
        path = folder / "WIDER_val" / "images" / name
        boxes = np.array([[float(row[k]) for k in ("x1", "y1", "x2", "y2")] for row in own], np.float32)
        picture = pictures.read(path)
        seen = detector(picture)
        overlap = box_ops.iou(boxes, seen.boxes).max(axis=1, initial=0)
        scale = VGA / max(picture.shape[:2])
        rows += own
        sizes += (np.sqrt(box_ops.area(boxes)) * scale).tolist()
        found += (overlap >= SAME_FACE).tolist()
    return rows, np.array(sizes), np.array(found)


def standardised(found: np.ndarray, classes: np.ndarray, everyone: np.ndarray) -> float:
    """Return the share found (0–1) if the group's faces had everyone's sizes.

    Size classes in which the group has no face are left out.
    """
    shares = [(everyone[c], found[classes == c].mean()) for c in np.unique(classes)]
    return float(sum(weight * share for weight, share in shares) / sum(weight for weight, _ in shares))


if __name__ == "__main__":
    main()
