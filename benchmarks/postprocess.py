"""Time of post-processing: 25,600 anchors with 1,000 above the threshold, as faces of a crowd find them.

Run: python benchmarks/postprocess.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.inference.postprocess import select

ANCHORS = 25_600
ABOVE = 1_000
MIN_SCORE = 0.05


def outputs(faces: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Scores and boxes of a network that finds each of `faces` faces with `ABOVE` / `faces` anchors."""
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


def main() -> None:
    """Print the median time for a few, many and very many faces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
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


if __name__ == "__main__":
    main()
