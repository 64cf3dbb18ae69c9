"""Measure how sharp faces are, as they are and blurred, to choose the threshold for a gallery.

Run: python benchmarks/sharpness.py DATA/lfw_subset/images --limit 150

Uses the largest face that is found in each picture. The blur is Gaussian; its standard deviation is given in
parts of the face's size.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import s3fd
from s3fd.identity.enrolment import MIN_SHARPNESS, sharpness
from s3fd.inference.pictures import read

BLURS = (0.0, 0.01, 0.02, 0.04, 0.08)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("--limit", type=int, default=150, help="pictures, spread evenly over the folder")
    options = parser.parse_args()
    paths = sorted(options.images.glob("*.jpg"))
    detector = s3fd.load()
    values: dict[float, list[float]] = {blur: [] for blur in BLURS}
    for path in paths[:: max(1, len(paths) // options.limit)]:
        picture = read(path)
        faces = detector(picture)
        if not len(faces):
            continue
        largest = faces[int(faces.sizes.argmax())]
        for blur in BLURS:
            sigma = blur * float(largest.sizes[0])
            blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8) if blur else picture
            values[blur] += sharpness(blurred, largest)
    print(
        f"{len(values[0.0])} faces\n\n"
        f"| blur | 5 % under | median | 95 % under | refused at {MIN_SHARPNESS:g} |"
    )
    print("|---:|---:|---:|---:|---:|")
    for blur, found in values.items():
        low, middle, high = np.percentile(found, [5, 50, 95])
        refused = np.mean(np.array(found) < MIN_SHARPNESS)
        print(f"| {blur:g} | {low:.0f} | {middle:.0f} | {high:.0f} | {refused:.0%} |")


if __name__ == "__main__":
    main()
