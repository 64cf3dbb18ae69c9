"""Time post-processing: 25,600 anchors with 1,000 above the threshold, clustered as on the faces of a crowd.

Run: python benchmarks/postprocess.py [--pictures FOLDER]

With pictures, also prints its share of the time from decoded pictures to faces, at the default threshold and
size, in processor time of one thread. Use pictures of 640 pixels or more: the stages are timed in a single
pass, but the detector sees smaller pictures at several scales.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from s3fd.boxes import FloatArray
from s3fd.inference import pictures
from s3fd.inference.detector import MIN_SCORE as DEFAULT
from s3fd.inference.detector import Detector
from s3fd.inference.postprocess import select
from s3fd.inference.resize import network_size, resize
from s3fd.inference.runtime import open_runtime
from s3fd.inference.sources import PICTURE_SUFFIXES

ANCHORS = 25_600
ABOVE = 1_000
MIN_SCORE = 0.05


def outputs(faces: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Make scores and boxes of a network that finds each of `faces` faces with `ABOVE` / `faces` anchors."""
    centres = rng.uniform(0, 640, (faces, 2))
    sides = rng.uniform(12, 80, (faces, 1))
    owner = np.arange(ABOVE) % faces
    middle = centres[owner] + rng.normal(0, 0.06, (ABOVE, 2)) * sides[owner]
    half = sides[owner] * rng.normal(1, 0.08, (ABOVE, 2)) / 2
    boxes = rng.uniform(0, 640, (ANCHORS, 4)).astype(np.float32)
    scores = rng.uniform(0, MIN_SCORE, ANCHORS).astype(np.float32)
    where = rng.choice(ANCHORS, ABOVE, replace=False)
    boxes[where] = np.concatenate([middle - half, middle + half], axis=1)
    scores[where] = rng.uniform(MIN_SCORE + 0.01, 1, ABOVE)
    return scores, boxes


def shares(folder: Path) -> dict[str, float]:
    """Time the stages from decoded pictures to faces, as shares of the whole."""
    cv2.setNumThreads(1)
    detector = Detector(open_runtime("slim", 1))
    spent = {"resizing": 0.0, "the network": 0.0, "post-processing": 0.0}
    whole = 0.0
    for file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in PICTURE_SUFFIXES):
        picture = pictures.load(file)
        size = network_size(picture.width, picture.height, "vga")
        for counts in (False, True):  # the first run on a shape takes longer
            clock = [time.process_time()]
            seen = resize(picture.pixels, *size)[None]
            clock.append(time.process_time())
            scores, boxes, *_ = detector.runtime(seen)
            clock.append(time.process_time())
            select(scores[0], boxes[0], min_score=DEFAULT)
            clock.append(time.process_time())
            detector.find(picture)
            clock.append(time.process_time())
            if counts:
                *parts, all_of_it = np.diff(clock)
                spent = {name: spent[name] + part for name, part in zip(spent, parts, strict=True)}
                whole += all_of_it
    return {name: part / whole for name, part in spent.items()}


def main() -> None:
    """Print the median time for a few, many and very many faces, and shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--pictures", type=Path, help="folder of pictures to measure the shares on")
    args = parser.parse_args()
    repeats = args.repeats
    rng = np.random.default_rng(0)
    print(f"{ANCHORS} anchors, {ABOVE} above the threshold, median of {repeats}")
    for faces in (10, 100, 200, 1000):
        scores, boxes = outputs(faces, rng)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            found = select(scores, boxes, min_score=MIN_SCORE)
            times.append(time.perf_counter() - start)
        print(f"{faces:5d} faces ({len(found):4d} found): {np.median(times) * 1e3:.2f} ms")
    if args.pictures:
        print(", ".join(f"{name} {share:.1%}" for name, share in shares(args.pictures).items()))


if __name__ == "__main__":
    main()
