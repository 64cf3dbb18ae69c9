"""Compare an embedding in the same pass with "find, crop, recognise" in time, by the number of faces.

Run: python benchmarks/embedding_cost.py --recogniser dlib.onnx

The pictures are those of attribute_cost.py. Three ways take turns at each, in one thread by default: the
detector alone; the detector with its embedding; and the detector alone, followed by the recogniser on crops
of all faces as one batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from attribute_cost import crowd, measure

import s3fd
from s3fd.identity.onnx_recogniser import open_recogniser
from s3fd.inference.pictures import Pixels

COUNTS = (0, 1, 5, 10, 30, 100)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recogniser", type=Path, required=True, help="ONNX file with its card next to it")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    alone = s3fd.load("slim", threads=options.threads)
    telling = s3fd.load("slim-identity", threads=options.threads, embeddings=True)
    recogniser = open_recogniser(options.recogniser, options.threads)

    def crop_and_recognise(picture: Pixels) -> object:
        return recogniser.embed(picture, alone(picture))

    ways: dict[str, Callable[[Pixels], object]] = {
        "faces alone": alone,
        "with their vectors": telling,
        "faces, then a network a face": crop_and_recognise,
    }
    print(f"| faces | found | {' | '.join(f'{way}, ms' for way in ways)} | in the pass / faces alone |")
    print("|---:|---:|" + "---:|" * (len(ways) + 1))
    for count in COUNTS:
        picture = crowd(count)
        times = measure(ways, picture, options.rounds)
        medians = [float(np.median(spent)) for spent in times.values()]
        cells = " | ".join(f"{median:.1f}" for median in medians)
        print(f"| {count} | {len(alone(picture))} | {cells} | {medians[1] / medians[0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
