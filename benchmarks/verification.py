"""Compare the bundled embedding at face verification with a recogniser that sees crops of the same faces.

Run: python benchmarks/verification.py PAIRS IMAGES INDEX.csv --recogniser dlib.onnx \\
         --plot docs/images/verification.png

Follows the protocol of `s3fd eval verification`, on all pairs and on those within one group of people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from s3fd.evaluation.verification import read_pairs
from s3fd.evaluation.verification_groups import by_group, read_groups
from s3fd.evaluation.verification_pictures import find_pictures, judge
from s3fd.evaluation.verification_plot import plot
from s3fd.identity.job import open_reader
from s3fd.inference.resize import parse_size

RATES = (0.01, 0.001)
"""False accept rates at which the table gives the true accepts."""


def main() -> None:
    """Measure, print the tables and draw the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("index", type=Path, help="table with the columns Person and Gender")
    parser.add_argument("--recogniser", type=Path, required=True, help="ONNX file with its card next to it")
    parser.add_argument("--size", type=parse_size, default=320)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    pairs = read_pairs(options.pairs)
    files = find_pictures(pairs, options.images)
    people = read_groups(options.index, "Gender")
    results, groups = {}, []
    print("| embedding | accuracy | true accepts at 1 % false | at 0.1 % false | cosines there |")
    print("|---|---:|---:|---:|---:|")
    for recogniser in (None, options.recogniser):
        reader = open_reader(None, recogniser, options.size)
        judged = judge(reader, pairs, files)
        name, result = reader.recogniser.model.name, judged.result
        accepts = " | ".join(f"{result.roc.at(rate):.1%}" for rate in RATES)
        strangers = judged.scores[[not pair.same for pair in pairs]]
        cosines = ", ".join(f"{np.quantile(strangers, 1 - rate):.2f}" for rate in RATES)
        accuracy = f"{result.accuracy:.1%} ± {result.standard_error:.1%}"
        print(f"| {name} | {accuracy} | {accepts} | {cosines} |", flush=True)
        results[name] = result
        groups += [
            f"| {name} | {group} | {e.same} | {e.false_rejects:.1%} | {e.different} | {e.false_accepts:.1%} |"
            for group, e in by_group(judged, people).items()
        ]
    print("\n| embedding | group | pairs of one person | false rejects | of two people | false accepts |")
    print("|---|---|---:|---:|---:|---:|", *groups, sep="\n")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
