"""Measure how often known people are given their name, and how often strangers are taken for one of them.

Run: python benchmarks/open_set.py DATA/lfw_subset/index.csv DATA/lfw_subset/images --people 400 \\
         --recogniser model.onnx --plot docs/images/open_set.png

Half of the people with two pictures or more are enrolled with one picture each, and their other pictures are
queries. All pictures of the other half, the strangers, are queries too. An embedding of your own must not
have been trained on these people: `--only pairs.txt` takes only the people in a file of pairs.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sampling import evenly

from s3fd.boxes import FloatArray
from s3fd.evaluation.open_set import OpenSetCurve, open_set
from s3fd.evaluation.verification import read_pairs
from s3fd.evaluation.verification_pictures import vector_of
from s3fd.identity.job import Reader, open_reader
from s3fd.identity.sqlite_store import create_store
from s3fd.inference.resize import parse_size

RATES = (0.001, 0.01, 0.1)
"""Rates of false identifications at which the table gives the share of right names."""

ASKING = 3
"""Most queries per enrolled person, so that the most photographed do not decide; strangers have one more."""


def main() -> None:
    """Enrol, query, print the table and draw the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("index", type=Path, help="table with the columns Image_Name and Person")
    parser.add_argument("images", type=Path)
    parser.add_argument("--people", type=int, default=400, help="most people to use")
    parser.add_argument("--only", type=Path, help="file of pairs: use only the people it names")
    parser.add_argument("--recogniser", type=Path)
    parser.add_argument("--weights", help="weights to use (default: the bundled ones)")
    parser.add_argument("--size", type=parse_size, default="vga")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    pictures = choose(args.index, args.images, args.only, args.people)
    reader = open_reader(args.weights, args.recogniser, args.size)
    curve, counts = measure(reader, pictures)
    print("| people enrolled | faces of theirs | faces of strangers | false identifications | right names |")
    print("|---:|---:|---:|---:|---:|")
    for rate in RATES:
        print(f"| {counts[0]} | {counts[1]} | {counts[2]} | {rate:.1%} | {curve.at(rate):.1%} |")
    if args.plot:
        draw(curve, args.plot)


def choose(index: Path, images: Path, only: Path | None, count: int) -> dict[str, list[Path]]:
    """Choose up to `count` people with two pictures or more, evenly spaced by name."""
    wanted = {name for pair in read_pairs(only) for name, _ in (pair.first, pair.second)} if only else None
    pictures: dict[str, list[Path]] = {}
    with index.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if wanted is None or row["Person"] in wanted:
                pictures.setdefault(row["Person"], []).append(images / f"{row['Image_Name']}.jpg")
    several = sorted(name for name, files in pictures.items() if len(files) > 1)
    return {name: sorted(pictures[name])[: ASKING + 1] for name in evenly(several, count)}


def measure(
    reader: Reader, pictures: Mapping[str, Sequence[Path]]
) -> tuple[OpenSetCurve, tuple[int, int, int]]:
    """Return the curve, and the numbers of people enrolled, of their queries and of strangers' queries."""
    vectors = {
        name: [v for v in (vector_of(reader, p) for p in files) if v is not None]
        for name, files in pictures.items()
    }
    members = [name for name in list(pictures)[::2] if len(vectors[name]) > 1]
    strangers = [vector for name in list(pictures)[1::2] for vector in vectors[name]]
    with (
        tempfile.TemporaryDirectory() as folder,
        create_store(Path(folder) / "gallery.db", reader.recogniser.model) as store,
    ):
        for name in members:
            store.add(name, vectors[name][0][None], ["first picture"])

        def best(vector: FloatArray) -> tuple[str, float]:
            (match,) = store.search(vector)
            return match.name, match.score

        asked = [(name, *best(vector)) for name in members for vector in vectors[name][1:]]
        scores = np.array([score for _, _, score in asked])
        right = np.array([name == told for name, told, _ in asked])
        taken = np.array([best(vector)[1] for vector in strangers])
    return open_set(scores, right, taken), (len(members), len(scores), len(taken))


def draw(curve: OpenSetCurve, path: Path) -> None:
    """Plot right names against false identifications."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.false_identifications, curve.identifications, color="#0072b2", linewidth=1.8)
    axes.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.01))
    axes.set(xlabel="strangers taken for somebody", ylabel="people given the right name")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
