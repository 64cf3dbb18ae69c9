"""Measure precision and recall at each score, as a Markdown table, to choose the detector's default.

Run: python benchmarks/threshold.py wider_face_train_bbx_gt.txt WIDER_train/images --limit 400

A detection is right if it has an IoU of at least 0.5 with a face that no better one has found. Faces that are
ignored, or smaller than --min-face pixels as the network sees them, count neither for nor against.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import s3fd
from s3fd import boxes
from s3fd.data import wider
from s3fd.data.sample import Sample
from s3fd.inference.resize import network_size

MATCH_IOU = 0.5
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def judge(faces: s3fd.Faces, sample: Sample, required: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return 1 for each right detection, 0 for a wrong one and -1 for one of a face that does not count."""
    verdicts = np.zeros(len(faces), np.int8)
    free = np.ones(len(sample.boxes), bool)
    for i, overlaps in enumerate(boxes.iou(faces.boxes, sample.boxes)):
        candidates = np.where(free | ~required, overlaps, 0)
        best = int(candidates.argmax()) if len(candidates) else 0
        if len(candidates) and candidates[best] >= MATCH_IOU:
            verdicts[i] = 1 if required[best] else -1
            free[best] = False
    return verdicts


def main() -> None:
    """Detect in every picture once, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="in the WIDER FACE layout")
    parser.add_argument("images", type=Path)
    parser.add_argument("--limit", type=int, help="use about this many pictures, spread evenly")
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--min-face", type=float, default=10.0)
    options = parser.parse_args()

    samples = wider.read(options.annotations, options.images).samples
    samples = samples[:: max(1, len(samples) // options.limit)] if options.limit else samples
    detector = s3fd.load(options.weights, min_score=min(THRESHOLDS))
    scores, verdicts, wanted = [], [], 0
    for sample in samples:
        picture = detector.prepare(sample.path)
        seen = network_size(picture.width, picture.height, detector.size)[0] / picture.width
        sizes = np.sqrt(boxes.area(sample.boxes)) * seen
        required = ~sample.ignored & (sizes >= options.min_face)
        faces = detector.find(picture)
        scores.append(faces.scores)
        verdicts.append(judge(faces, sample, required))
        wanted += int(required.sum())
    score, verdict = np.concatenate(scores), np.concatenate(verdicts)
    print(f"{len(samples)} pictures, {wanted} faces\n\n| score over | precision | recall | F1 |")
    print("|---:|---:|---:|---:|")
    for threshold in THRESHOLDS:
        above = verdict[score > threshold]
        right, wrong = int((above == 1).sum()), int((above == 0).sum())
        precision, recall = right / max(1, right + wrong), right / max(1, wanted)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        print(f"| {threshold} | {precision:.3f} | {recall:.3f} | {f1:.3f} |")


if __name__ == "__main__":
    main()
