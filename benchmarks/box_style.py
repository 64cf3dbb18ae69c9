"""Compare how the annotators of several sets frame a face, by comparing their labels with YuNet's boxes.

Run: python benchmarks/box_style.py YUNET.onnx ANNOTATIONS IMAGES [ANNOTATIONS IMAGES …]

YuNet was trained on WIDER FACE and frames faces in its style. It is run on 200 pictures of each set, chosen
with a fixed seed and enlarged to 640 pixels if smaller. By the size of the face as YuNet sees it, the table
gives the mean IoU of YuNet's boxes with their labels (pairs with an IoU over 0.3), and the median offset and
size of YuNet's boxes, in the label's sides.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from s3fd import boxes as box_ops
from s3fd.data import wider
from s3fd.data.sample import Sample

PICTURES = 200
EDGES = (12, 24, 48, 96, 10_000)


def main() -> None:
    """Compare each set and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("yunet", help="YuNet's .onnx file")
    parser.add_argument("sets", nargs="+", type=Path, help="pairs of annotations and a picture folder")
    options = parser.parse_args()
    if len(options.sets) % 2:
        sys.exit("error: give all annotations their folder")
    teacher = cv2.FaceDetectorYN.create(options.yunet, "", (320, 320), 0.3, 0.45, 5000)
    for annotations, images in zip(options.sets[::2], options.sets[1::2], strict=True):
        samples = wider.read(annotations, images).samples
        chosen = np.random.default_rng(0).permutation(len(samples))[:PICTURES]
        rows = np.concatenate([compare(teacher, samples[i]) for i in chosen])
        print(f"\n{annotations}\n\n| face, px | faces | mean IoU | dx | dy | width | height |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for low, high in pairwise(EDGES):
            group = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
            if len(group):
                cells = [group[:, 1].mean(), *np.median(group[:, 2:], axis=0)]
                print(f"| {low}– | {len(group)} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")


def compare(teacher: cv2.FaceDetectorYN, sample: Sample) -> np.ndarray:
    """Return size, IoU, shift in x and y, and ratio of width and height (N, 6) of the labels YuNet found."""
    picture = cv2.imread(str(sample.path))
    scale = max(1.0, 640 / max(picture.shape[:2]))
    picture = cv2.resize(picture, None, fx=scale, fy=scale)
    teacher.setInputSize(picture.shape[1::-1])
    found = teacher.detect(picture)[1]
    labels = sample.boxes[~sample.ignored] * np.float32(scale)
    if found is None or not len(labels):
        return np.zeros((0, 6))
    seen = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
    overlap = box_ops.iou(labels, seen)
    paired = overlap.max(axis=1) > 0.3
    ours, theirs = labels[paired], seen[overlap.argmax(axis=1)[paired]]
    side, their_side = ours[:, 2:] - ours[:, :2], theirs[:, 2:] - theirs[:, :2]
    shift = (theirs[:, :2] + theirs[:, 2:] - ours[:, :2] - ours[:, 2:]) / 2 / side
    sizes = np.sqrt(box_ops.area(ours))
    return np.column_stack([sizes, overlap.max(axis=1)[paired], shift, their_side / side])


if __name__ == "__main__":
    main()
