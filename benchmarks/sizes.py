"""Compare what is found at each size, and choose the score from which faces should be hidden.

Run: python benchmarks/sizes.py IMAGES ANNOTATIONS.txt --limit 60

Prints precision and recall of the detector on annotated pictures (WIDER FACE's format) by `--size`, and for
size auto by `--min-score`. A face is found from an IoU of 0.5. Faces under 10 pixels are neither required nor
punished. On pictures that the weights were trained on, only the differences are meaningful.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from sampling import evenly

import s3fd
from s3fd import boxes as box_ops
from s3fd.data import wider
from s3fd.data.sample import Sample
from s3fd.faces import Faces
from s3fd.inference.resize import Size

SIZES: tuple[Size, ...] = ("vga", "original", "auto")
SCORES = (0.6, 0.5, 0.3, 0.2, 0.1)
SMALLEST, LARGE = 10, 200
"""Least size of the faces that are required, and of those in the last column, in pixels of the picture."""


def main() -> None:
    """Detect, evaluate and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--limit", type=int, default=60, help="pictures, chosen evenly")
    args = parser.parse_args()
    samples = evenly(wider.read(args.annotations, args.images).samples, args.limit)
    detector = s3fd.load(args.weights, min_score=min(SCORES))
    found = {size: [detector(sample.path, size=size) for sample in samples] for size in SIZES}
    print(
        f"| size | score over | precision | recall | faces over {LARGE} px found |\n|---|---:|---:|---:|---:|"
    )
    rows = [*((size, 0.5) for size in SIZES), *(("auto", score) for score in SCORES if score != 0.5)]
    for size, score in rows:
        precision, recall, large, of = judge(samples, found[size], score)
        print(f"| {size} | {score} | {precision:.3f} | {recall:.3f} | {large} of {of} |")


def judge(samples: Iterable[Sample], found: Iterable[Faces], score: float) -> tuple[float, float, int, int]:
    """Return precision, recall, the number of large faces found, and the number of large faces."""
    right = wrong = asked = hit = large = large_hit = 0
    for sample, everything in zip(samples, found, strict=True):
        faces = everything[everything.scores > score]
        sides = np.sqrt(box_ops.area(sample.boxes))
        required = ~sample.ignored & (sides >= SMALLEST)
        overlap = box_ops.iou(faces.boxes, sample.boxes) >= 0.5
        right += int(overlap[:, required].any(axis=1).sum())
        wrong += int((~overlap.any(axis=1)).sum())
        seen = overlap.any(axis=0)
        asked, hit = asked + int(required.sum()), hit + int((seen & required).sum())
        big = required & (sides >= LARGE)
        large, large_hit = large + int(big.sum()), large_hit + int((seen & big).sum())
    return right / max(1, right + wrong), hit / max(1, asked), large_hit, large


if __name__ == "__main__":
    main()
