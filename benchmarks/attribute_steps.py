"""Compare the steps from the published recipe to the bundled weights, with equally many optimisation steps.

Run: python benchmarks/attribute_steps.py DATA --weights detector.safetensors --target Gender:F=female,M=male

DATA has what tools/locate_faces.py makes, and pictures of unlabelled faces in `OTHERS`. Every row starts from
the same detector and learns from DATA/labelled/train.csv. The detector must not know the attribute yet. The
bundled weights will not do: their stages have learnt gender, and a branch would start with the features of
the gender branch. The weights that `s3fd train configs/slim-640.yaml` produces will do.

The rows are the recipe with copied and with random weights, on pictures as they are; a tower and a branch on
composed pictures, with the detector still frozen; and the branch jointly with the stages it reads, while the
detector is held. All are tested on DATA/labelled/test.csv, at the pictures' own size, on faces of 32 pixels
and more. What joint training costs in finding faces is not measured here: --keep saves the weights, for
wider_subset.py to measure.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attribute_card import SMALLEST
from sampling import evenly

from s3fd.attributes.config import FinetuneConfig, load_config
from s3fd.attributes.finetune import finetune
from s3fd.data import labels as label_files
from s3fd.data.labels import LabelledPicture
from s3fd.data.targets import Target, parse_target
from s3fd.evaluation.attribute_faces import observe
from s3fd.evaluation.attributes import summarise
from s3fd.inference.detector import Detector
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import S3FD
from s3fd.weights.network_file import backbone_of, load_network, save_network

NAME = "target"
BATCH = 16

OTHERS = ("wider_train_subset", "group_photos/images", "masked_faces/images")
"""Folders below DATA with unlabelled faces; missing ones are left out."""


def main() -> None:
    """Train and test each row, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", default="Gender:F=female,M=male")
    parser.add_argument("--weights", type=Path, required=True, help="detector to start from (.safetensors)")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--limit", type=int, default=1000, help="test pictures, chosen evenly")
    parser.add_argument("--keep", type=Path, help="folder for the weights of every row")
    args = parser.parse_args()
    if known := load_network(args.weights).attributes:
        parser.error(
            f"{args.weights} knows {', '.join(a.name for a in known)} already: take a plain detector"
        )
    target = parse_target(args.target)
    assert isinstance(target, Target), "declare the classes: COLUMN:A=name,B=name"
    learning, testing = (
        [item for item in found.pictures if (item.labels[target.column] >= 0).any()]
        for found in (
            label_files.read(args.data / "labelled" / f"{part}.csv", args.data, [target])
            for part in ("train", "test")
        )
    )
    few = evenly(testing, args.limit)
    print("| step | faces found | right | 95 % interval | seconds of training |\n|---|---:|---:|---:|---:|")
    for title, train in rows(args, target, learning).items():
        start = time.perf_counter()
        network = train()
        seconds = time.perf_counter() - start
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", title)
            save_network(network, backbone_of(args.weights), args.keep / f"{name}.safetensors")
        detector = Detector(TorchRuntime(network), size="original", attributes=(NAME,))
        told = observe(detector, NAME, few, target.column).observations
        result = summarise(told.only(told.sizes >= SMALLEST))
        low, high = result.accuracy_interval
        print(
            f"| {title} | {result.count} | {result.accuracy:.1%} | {low:.1%}–{high:.1%} | {seconds:.0f} |",
            flush=True,
        )


def rows(
    args: argparse.Namespace, target: Target, items: list[LabelledPicture]
) -> dict[str, Callable[[], S3FD]]:
    """Return the function that trains each row's network, by its title."""
    epochs = (args.steps - 0.5) * BATCH / len(items)  # rounded up to --steps
    budget = {"batch": BATCH, "epochs": epochs, "least_steps": 1}
    recipe = load_config("recipe").model_copy(update=budget)
    random = recipe.model_copy(update={"head": recipe.head.model_copy(update={"initial": "random"})})
    tower = load_config("tower").model_copy(update=budget)
    branch = load_config("branch").model_copy(update=budget)
    joint = load_config("joint").model_copy(update=budget)
    others = [args.data / name for name in OTHERS if (args.data / name).is_dir()]

    def learn(config: FinetuneConfig) -> S3FD:
        network = load_network(args.weights)
        return finetune(network, NAME, target, items, config, others=others if config.joint else ())

    return {
        "recipe, copied weights": partial(learn, recipe),
        "recipe, random weights": partial(learn, random),
        "tower, composed pictures": partial(learn, tower),
        "branch, composed pictures": partial(learn, branch),
        "branch, jointly with the detector's stages": partial(learn, joint),
    }


if __name__ == "__main__":
    main()
