"""Measure average precision and time of each `--size`, and of several passes, on WIDER FACE's pictures.

Run: python benchmarks/size_precision.py --docs

One network takes full decoded pictures to faces; the sizes take turns at each picture. `multiscale` is not a
size but the protocol of several passes (`s3fd.evaluation.protocols`), included for comparison.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import wider_subset
from documents import put

from s3fd.evaluation import wider
from s3fd.evaluation.protocols import PROTOCOLS
from s3fd.faces import Faces
from s3fd.inference.runtime import open_runtime

SIZES = {"vga": "vga", "original": "single", "auto": "auto", "multiscale": "multiscale"}
"""Protocol of each size."""

NAMES = {"multiscale": "(protocol `multiscale`)"}
"""Titles of rows that are not a size."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="slim", help="name of a bundled model, or a file")
    parser.add_argument("--data", type=Path, help="the unpacked pictures (default: unpack them to a cache)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="use every EVERY-th picture")
    parser.add_argument("--docs", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    runtime = open_runtime(options.weights, options.threads)
    files, truth = wider_subset.subset(options.data, slice(None, None, options.every))
    found: dict[str, dict[str, Faces]] = {size: {} for size in SIZES}
    times: dict[str, list[float]] = {size: [] for size in SIZES}
    for i, file in enumerate(files):
        picture = cv2.imread(str(file))
        for size, protocol in SIZES.items():
            start = time.perf_counter()
            found[size][f"{file.parent.name}/{file.stem}"] = PROTOCOLS[protocol](runtime, picture)
            times[size].append(1000 * (time.perf_counter() - start))
        if (i + 1) % 10 == 0:
            print(f"{i + 1} of {len(files)} pictures", file=sys.stderr, flush=True)
    rows = [
        f"| `--size` | {' | '.join(wider.SETTINGS)} | median ms | × `vga` |",
        f"|---|{'---:|' * (len(wider.SETTINGS) + 2)}",
    ]
    for size, spent in times.items():
        curves = wider.evaluate(found[size], truth)
        cells = [f"{curves[setting].average_precision:.3f}" for setting in wider.SETTINGS]
        cells += [f"{np.median(spent):.1f}", f"{np.median(np.divide(spent, times['vga'])):.2f}"]
        rows.append(f"| {NAMES.get(size, f'`{size}`')} | {' | '.join(cells)} |")
    table = "\n".join(rows)
    print(f"{len(files)} pictures, {options.threads} threads\n\n{table}")
    if options.docs:
        put("docs/detection.md", "benchmarks/size_precision.py", table)


if __name__ == "__main__":
    main()
