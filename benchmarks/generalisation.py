"""Compare average precision on pictures that were trained on with that on test pictures, by face height.

Run: python benchmarks/generalisation.py slim TRAIN_IMAGES TRAIN.txt TEST_IMAGES TEST.txt

A network that is much better on what it has seen lacks variety; one that is equally bad on both lacks
training or size. A peer shows how hard each of the sets is. The settings are the faces of at least 50, 30 and
10 pixels in height, because WIDER FACE's own easy, medium and hard exist only for its validation set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
from sampling import evenly
from wider_subset import SHARED, load_peers, make_ours, make_peer, measure

from s3fd.data import wider as annotations
from s3fd.data.sample import Sample
from s3fd.evaluation import wider
from s3fd.evaluation.wider import AnnotatedPicture, GroundTruth
from s3fd.faces import Faces

HEIGHTS = {"easy": 50, "medium": 30, "hard": 10}
"""Least height of the faces that a setting requires, in pixels of the picture."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", help="this project's weights: a name or an .onnx file")
    parser.add_argument("sets", nargs="+", type=Path, help="pairs of a picture folder and its annotations")
    parser.add_argument("--peer", default="yunet_n")
    parser.add_argument("--peers", type=Path, default=SHARED / "peers", help="folder of peer_detectors.py")
    parser.add_argument("--limit", type=int, default=300, help="pictures of each set, chosen evenly")
    options = parser.parse_args()
    if len(options.sets) % 2:
        sys.exit("error: give every folder its annotations")
    cv2.setNumThreads(2)
    peers = load_peers(options.peers)
    detectors = {"s3fd": make_ours(options.weights, 2), options.peer: make_peer(peers, options.peer)}
    print("| pictures | detector | over 50 px | over 30 px | over 10 px |\n|---|---|---:|---:|---:|")
    for images, file in zip(options.sets[::2], options.sets[1::2], strict=True):
        samples = evenly(annotations.read(file, images).samples, options.limit)
        truth = GroundTruth({f"{s.path.parent.name}/{s.path.stem}": annotated(s) for s in samples})
        found, _ = measure(detectors, [s.path for s in samples], lambda p: peers.resize(p, "vga"))
        for name, faces in found.items():
            print(f"| {file.stem} | {name} | {figures(faces, truth)} |", flush=True)


def annotated(sample: Sample) -> AnnotatedPicture:
    """Return a sample's faces, with those that each setting of `HEIGHTS` requires."""
    heights = sample.boxes[:, 3] - sample.boxes[:, 1]
    required = {name: ~sample.ignored & (heights >= least) for name, least in HEIGHTS.items()}
    return AnnotatedPicture(sample.boxes, required)


def figures(found: Mapping[str, Faces], truth: GroundTruth) -> str:
    """Format the average precision for each of `HEIGHTS` as cells of a table."""
    curves = wider.evaluate(found, truth).values()
    return " | ".join(f"{curve.average_precision:.3f}" for curve in curves)


if __name__ == "__main__":
    main()
