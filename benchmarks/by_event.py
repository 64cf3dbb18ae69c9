"""Compute average precision event by event, from result folders of ``s3fd eval wider``.

Run: python benchmarks/wider_subset.py yunet_n --results OUT
     python benchmarks/by_event.py GROUND_TRUTH IMAGES OUT/*

An event is a folder of WIDER FACE's pictures, such as ``0--Parade``.
"""

import argparse
from collections import Counter

from result_folders import IMAGES, TRUTH, folder, names_of

from s3fd.evaluation import results, wider


def main() -> None:
    """Read and evaluate the results, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=folder, help=TRUTH)
    parser.add_argument("images", type=folder, help=IMAGES)
    parser.add_argument("results", nargs="+", type=folder, help="folders of result files, one per detector")
    options = parser.parse_args()
    names = names_of(options.images)
    truth = wider.load(options.truth).only(names)
    pictures = Counter(name.split("/")[0] for name in names)
    print(
        "| event | pictures | faces | detector | easy | medium | hard |\n|---|---:|---:|---|---:|---:|---:|"
    )
    for event, count in pictures.items():
        own = [name for name in names if name.startswith(f"{event}/")]
        part = truth.only(own)
        faces = sum(int(picture.required["hard"].sum()) for picture in part.pictures.values())
        for result in options.results:
            curves = wider.evaluate(results.read_all(result, own), part).values()
            figures = " | ".join(f"{curve.average_precision:.3f}" for curve in curves)
            print(f"| {event} | {count} | {faces:,} | {result.name} | {figures} |")


if __name__ == "__main__":
    main()
