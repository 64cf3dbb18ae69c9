"""Measure average precision by the overlap at which suppression removes a box, to choose this threshold.

Run: python benchmarks/overlap.py slim WIDER_train/images wider_face_train_bbx_gt.txt

The pictures are ones that were trained on, so that the test pictures have no influence on the choice. The
settings are the faces of at least 50, 30 and 10 pixels in height, as in `generalisation.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from generalisation import annotated, figures
from sampling import evenly

from s3fd.data import wider as annotations
from s3fd.evaluation.protocols import MIN_SCORE
from s3fd.evaluation.wider import GroundTruth
from s3fd.inference import detector
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import open_runtime

OVERLAPS = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("images", type=Path)
    parser.add_argument("annotations", type=Path, help="in the WIDER FACE layout")
    parser.add_argument("--size", default="vga", choices=["vga", "original", "auto"])
    parser.add_argument("--limit", type=int, default=300, help="pictures, chosen evenly")
    options = parser.parse_args()
    samples = evenly(annotations.read(options.annotations, options.images).samples, options.limit)
    truth = GroundTruth({str(sample.path): annotated(sample) for sample in samples})
    runtime = open_runtime(options.weights)
    print("| overlap | over 50 px | over 30 px | over 10 px | faces at the default score |")
    print("|---:|---:|---:|---:|---:|")
    for overlap in OVERLAPS:
        look = Detector(runtime, options.size, MIN_SCORE, overlap)
        found = {str(sample.path): look(str(sample.path)) for sample in samples}
        sure = sum(int((faces.scores > detector.MIN_SCORE).sum()) for faces in found.values())
        print(f"| {overlap} | {figures(found, truth)} | {sure:,} |", flush=True)


if __name__ == "__main__":
    main()
