"""Measure the peak memory of `s3fd detect`, for a picture of 100 megapixels and over a long folder.

Run: python benchmarks/memory.py --docs

Every run is a process of its own, whose peak resident memory the system records. The large picture is tiled
from the example photograph. The folder's pictures are the example at varying sizes of up to 1,600 pixels, so
that memory kept per size would show. Memory depends little on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from documents import put

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
LARGE = 12_800, 8_000
"""Width and height: 102 megapixels."""

CHILD = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps(peak))
"""
"""Program that runs a command and prints its peak memory in MiB."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000, help="pictures in the longest folder")
    parser.add_argument(
        "--sizes", nargs="*", default=["vga", "auto"], help="values of --size for the large picture"
    )
    parser.add_argument("--engine", default="onnx")
    parser.add_argument("--docs", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    rows = ["| `s3fd detect` | peak, MiB |", "|---|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        for what, arguments in runs(Path(folder), options.pictures, options.sizes):
            most = peak(["--engine", options.engine, *arguments])
            rows.append(f"| {what} | {most:.0f} |")
            print(rows[-1], flush=True)
    if options.docs:
        put("docs/throughput.md", "benchmarks/memory.py", "\n".join(rows))


def runs(folder: Path, count: int, sizes: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the description of each run and its arguments for `s3fd detect`."""
    example = cv2.imread(str(EXAMPLE))
    yield "one picture of 512 × 512", [str(EXAMPLE)]
    large = folder / "large.jpg"
    rows, columns = -(-LARGE[1] // example.shape[0]), -(-LARGE[0] // example.shape[1])
    cv2.imwrite(str(large), np.tile(example, (rows, columns, 1))[: LARGE[1], : LARGE[0]])
    for size in sizes:
        yield f"102 megapixels, `--size {size}`", ["--size", size, str(large)]
    for pictures in (count // 10, count):
        many = folder / f"{pictures}"
        many.mkdir()
        rng = np.random.default_rng(0)
        for i in range(pictures):
            width, height = rng.integers(300, 1600, 2).tolist()
            cv2.imwrite(str(many / f"{i:05d}.jpg"), cv2.resize(example, (width, height)))
        yield f"{pictures:,} pictures of different shapes", [str(many)]


def peak(arguments: list[str]) -> float:
    """Return the peak memory of `s3fd detect` with these arguments, in MiB."""
    command = [sys.executable, "-c", CHILD, sys.executable, "-m", "s3fd", "detect", *arguments]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


if __name__ == "__main__":
    main()
