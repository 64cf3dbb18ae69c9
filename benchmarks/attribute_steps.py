"""What each step from the published recipe to the bundled weights brings, in equally many optimisation steps.

Run: python benchmarks/attribute_steps.py DATA --target Gender:F=female,M=male --steps 400

DATA has what `configs/slim-attributes.yaml` names (tools/relabel.py and tools/locate_faces.py make it). Every
row starts from the same detector and learns from DATA/labelled/train.csv: the recipe with copied and with
random weights, on pictures as they are; a tower and a branch on composed pictures, the detector still frozen;
and a tower learnt together with the detector. Tested on DATA/labelled/test.csv, at the pictures' own size,
faces of 32 pixels and more. What joint training does to finding faces is for wider_subset.py to say: --keep
leaves the weights.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from s3fd.attributes import run
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
from s3fd.training import config as training
from s3fd.training import loop
from s3fd.weights.network_file import load_network, save_network

NAME = "target"
BATCH = 16
SMALLEST = 32
"""Pixels; smaller faces are not counted."""

JOINT = Path(__file__).parents[1] / "configs" / "slim-attributes.yaml"


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", default="Gender:F=female,M=male")
    parser.add_argument("--weights", default="slim", help="detector to start from")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--limit", type=int, default=1000, help="test pictures, chosen evenly")
    parser.add_argument("--keep", type=Path, help="folder for the weights of every row")
    args = parser.parse_args()
    target = parse_target(args.target)
    assert isinstance(target, Target), "declare the classes: COLUMN:A=name,B=name"
    learning, testing = (
        [item for item in found.pictures if (item.labels[target.column] >= 0).any()]
        for found in (
            label_files.read(args.data / "labelled" / f"{part}.csv", args.data, [target])
            for part in ("train", "test")
        )
    )
    few = np.linspace(0, len(testing) - 1, min(args.limit, len(testing))).astype(int)
    print("| step | faces found | right | 95 % interval | seconds of training |\n|---|---:|---:|---:|---:|")
    for title, train in rows(args, target, learning).items():
        start = time.perf_counter()
        network = train()
        seconds = time.perf_counter() - start
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
            save_network(network, "slim", args.keep / f"{title.replace(' ', '-')}.safetensors")
        detector = Detector(TorchRuntime(network), size="original", attributes=(NAME,))
        told = observe(detector, NAME, [testing[i] for i in few], target.column).observations
        result = summarise(told.only(told.sizes >= SMALLEST))
        low, high = result.accuracy_interval
        print(
            f"| {title} | {result.count} | {result.accuracy:.1%} | {low:.1%}–{high:.1%} | {seconds:.0f} |",
            flush=True,
        )


def rows(
    args: argparse.Namespace, target: Target, items: list[LabelledPicture]
) -> dict[str, Callable[[], S3FD]]:
    """What trains each row's network, by its title."""
    weights = run.detector_weights(args.weights)
    budget = {"batch": BATCH, "epochs": args.steps * BATCH / len(items)}
    recipe = load_config("recipe").model_copy(update=budget)
    random = recipe.model_copy(update={"head": recipe.head.model_copy(update={"initial": "random"})})
    tower = load_config("tower").model_copy(update=budget)
    branch = load_config("branch").model_copy(update=budget)

    def frozen(config: FinetuneConfig) -> S3FD:
        return finetune(load_network(weights), NAME, target, items, config)

    return {
        "recipe, copied weights": partial(frozen, recipe),
        "recipe, random weights": partial(frozen, random),
        "tower, composed pictures": partial(frozen, tower),
        "branch, composed pictures": partial(frozen, branch),
        "tower and detector together": partial(joint, args, weights),
    }


def joint(args: argparse.Namespace, weights: Path) -> S3FD:
    """Train an attribute together with the detector."""
    config = training.load_config(JOINT)
    (attribute,) = (a for a in config.attributes if a.target == args.target)
    config = config.model_copy(
        update={"attributes": [attribute.model_copy(update={"name": NAME})], "steps": args.steps}
    )
    samples, _ = loop.read_data(config.data, args.data)
    labelled, _ = loop.read_labelled(config, args.data)
    with tempfile.TemporaryDirectory() as folder:
        return loop.train(config, samples, Path(folder), labelled=labelled, initial=weights)


if __name__ == "__main__":
    main()
