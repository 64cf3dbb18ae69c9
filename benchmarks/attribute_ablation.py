"""Compare the steps of attribute training, one row per step, on the same pictures and splits.

Run: python benchmarks/attribute_ablation.py CSV IMAGES --target Gender:F=female,M=male --group Tags

Every row is trained anew on each of `--splits` random splits. A share of the pictures (of the people, with
--group) is held out, and the held-out pictures of all splits are counted together. The mean of the classes is
averaged over the splits: it is a half where a network predicts the more frequent of two classes for
everybody.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from s3fd.attributes import run
from s3fd.attributes.config import FinetuneConfig, load_config
from s3fd.attributes.run import Report
from s3fd.evaluation.attributes import wilson_interval


def rows() -> dict[str, FinetuneConfig]:
    """Return the configuration of each step, by its title in the table."""
    recipe = load_config("recipe")
    random = recipe.model_copy(update={"head": recipe.head.model_copy(update={"initial": "random"})})
    return {
        "recipe, copied weights": recipe,
        "recipe, random weights": random,
        "branch, composed pictures": load_config("branch"),
    }


def main() -> None:
    """Train and test each step, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument(
        "--group", help="column, such as a person, none of whose values is both trained on and held out"
    )
    parser.add_argument("--weights", default="slim", help="detector to start from")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--held-out", type=float, default=0.3)
    args = parser.parse_args()
    labels = run.read_labels(args.csv, args.images, args.target, args.group)
    columns = (
        "held-out pictures with a face",
        "right",
        "95 % interval",
        "mean of the classes",
        "seconds a run",
    )
    print(f"| step | {' | '.join(columns)} |\n|---|" + "---:|" * len(columns))
    for title, config in rows().items():
        reports: list[Report] = []
        for seed in range(args.splits):
            settings = config.model_copy(update={"seed": seed, "held_out": args.held_out})
            with tempfile.TemporaryDirectory() as folder:
                weights = run.detector_weights(args.weights)
                reports.append(run.run(labels, "target", settings, weights, Path(folder), args.group))
        found = [r.summary for r in reports if r.summary is not None]
        count = sum(s.count for s in found)
        right = round(sum(s.accuracy * s.count for s in found))
        low, high = wilson_interval(right, count)
        balanced = sum(s.balanced_accuracy for s in found) / len(found)
        seconds = sum(r.seconds for r in reports) / len(reports)
        shares = f"{right / count:.1%} | {low:.1%}–{high:.1%} | {balanced:.1%}"
        print(f"| {title} | {count} | {shares} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
