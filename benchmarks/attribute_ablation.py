"""Compare the steps of attribute training, one row per step, on the same pictures and splits.

Run: python benchmarks/attribute_ablation.py CSV IMAGES --target Gender:F=female,M=male --group Tags
         --elsewhere DATA/labelled/test.csv --elsewhere-images DATA

Every row is trained anew on each of `--splits` random splits. A share of the pictures (of the people, with
--group) is held out, and the held-out pictures of all splits are counted together. The mean of the classes is
averaged over the splits: it is a half where a network predicts the more frequent of two classes for
everybody.

`--elsewhere` is a table of the same target on other pictures. On its faces of 32 pixels and more, the network
of every split shows what it can do beyond the pictures that it was trained on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attribute_card import SMALLEST

import s3fd
from s3fd.attributes import run
from s3fd.attributes.config import FinetuneConfig, load_config
from s3fd.attributes.run import Report
from s3fd.data.labels import Labels
from s3fd.evaluation.attribute_faces import observe
from s3fd.evaluation.attributes import Summary, summarise, wilson_interval

COLUMNS = (
    "held-out pictures with a face",
    "right",
    "95 % interval",
    "mean of the classes",
    "right elsewhere",
    "seconds a run",
)


def rows() -> dict[str, FinetuneConfig]:
    """Return the configuration of each step, by its title in the table."""
    recipe = load_config("recipe")
    random = recipe.model_copy(update={"head": recipe.head.model_copy(update={"initial": "random"})})
    return {
        "recipe, copied weights": recipe,
        "recipe, random weights": random,
        "branch, composed pictures": load_config("branch"),
        "adapt, the branch that the weights have": load_config("adapt"),
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
    parser.add_argument("--elsewhere", type=Path, help="table of other pictures to test on as well")
    parser.add_argument("--elsewhere-images", type=Path)
    parser.add_argument("--limit", type=int, default=800, help="most pictures of --elsewhere, evenly spread")
    parser.add_argument("--only", action="append", help="beginning of a row's title; may be repeated")
    args = parser.parse_args()
    labels = run.read_labels(args.csv, args.images, args.target, args.group)
    other = None
    if args.elsewhere:
        other = run.read_labels(args.elsewhere, args.elsewhere_images, args.target, None)
        other = replace(other, pictures=other.pictures[:: -(-len(other.pictures) // args.limit)])
    name = labels.targets[0].column.lower()
    weights = run.detector_weights(args.weights)
    print(f"| step | {' | '.join(COLUMNS)} |\n|---|" + "---:|" * len(COLUMNS))
    before: list[Summary] = []
    for title, config in rows().items():
        if args.only and not title.startswith(tuple(args.only)):
            continue
        reports: list[Report] = []
        beyond: list[Summary] = []
        for seed in range(args.splits):
            settings = config.model_copy(update={"seed": seed, "held_out": args.held_out})
            with tempfile.TemporaryDirectory() as folder:
                reports.append(run.run(labels, name, settings, weights, Path(folder), args.group))
                if other is not None:
                    beyond.append(elsewhere(Path(folder) / "model.onnx", name, other))
        before = [r.before for r in reports if r.before is not None]
        found = [r.summary for r in reports if r.summary is not None]
        print(row(title, found, beyond, sum(r.seconds for r in reports) / len(reports)), flush=True)
    if before:
        beyond = [] if other is None else [elsewhere(args.weights, name, other)]
        print(row("none: the weights as they are", before, beyond, 0))


def row(title: str, found: Sequence[Summary], beyond: Sequence[Summary], seconds: float) -> str:
    """Return one row of the table, from the summaries of every split."""
    count = sum(s.count for s in found)
    right = round(sum(s.accuracy * s.count for s in found))
    low, high = wilson_interval(right, count)
    balanced = sum(s.balanced_accuracy for s in found) / len(found)
    others = f"{sum(s.accuracy for s in beyond) / len(beyond):.1%}" if beyond else "–"
    shares = f"{right / count:.1%} | {low:.1%}–{high:.1%} | {balanced:.1%} | {others}"
    return f"| {title} | {count} | {shares} | {seconds:.0f} |"


def elsewhere(weights: str | Path, name: str, labels: Labels) -> Summary:
    """Test the attribute `name` of `weights` on the labelled faces of other pictures."""
    detector = s3fd.load(weights, attributes=(name,))
    (target,) = labels.targets
    seen = observe(detector, name, labels.pictures, target.column).observations
    return summarise(seen.only(seen.sizes >= SMALLEST))


if __name__ == "__main__":
    main()
