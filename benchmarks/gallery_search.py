"""Measure how long a gallery takes to fill, to load and to search exactly, by its number of vectors.

Run: python benchmarks/gallery_search.py --vectors 10000 100000 1000000

Random vectors of 128 numbers, a hundred per person, are stored in a file that is deleted afterwards. A
process loads the gallery at its first search, and again only after it has been changed. For comparison, each
search is followed by a bare product of the same matrix and vector: nothing exact can be faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from s3fd.identity.recogniser import Model
from s3fd.identity.sqlite_store import create_store, open_store
from s3fd.identity.vectors import normalise

DIMENSION = 128
VECTORS_A_PERSON = 100
SEARCHES = 20


def main() -> None:
    """Measure and print a row for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    counts = parser.parse_args().vectors
    print("| vectors | file, MB | added, a second | first search, s | search, ms | bare product, ms |")
    print("|---:|---:|---:|---:|---:|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            print(row(count, Path(folder) / "gallery.db"), flush=True)


def row(count: int, path: Path) -> str:
    """Fill and search a gallery, and return its table row."""
    rng = np.random.default_rng(0)
    vectors = normalise(rng.normal(size=(count, DIMENSION)).astype(np.float32))
    start = time.perf_counter()
    with create_store(path, Model("random", "0" * 64, DIMENSION)) as store:
        for i in range(0, count, VECTORS_A_PERSON):
            own = vectors[i : i + VECTORS_A_PERSON]
            store.add(f"person {i}", own, ["picture"] * len(own))
    filling = time.perf_counter() - start
    with open_store(path) as store:
        first = seconds(lambda: store.search(vectors[0]))
        searches, products = [], []
        for i in rng.integers(count, size=SEARCHES):
            searches.append(seconds(lambda i=i: store.search(vectors[i])))
            products.append(seconds(lambda i=i: vectors @ vectors[i]))
    return (
        f"| {count:,} | {path.stat().st_size / 1e6:.0f} | {count / filling:,.0f} | {first:.2f} | "
        f"{1000 * np.median(searches):.1f} | {1000 * np.median(products):.1f} |"
    )


def seconds(work: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
