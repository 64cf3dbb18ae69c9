"""Identify one of ten people: the published exercise's classifier of pictures against heads on the face.

Run: python benchmarks/closed_set.py DATA/celeb_small

Every row is trained on the pictures of `index.csv`, with the detector frozen, and tested on the folders of
`Test`, whose names end in the person's number. A picture in which no face is found counts as wrong. The last
row trains nothing: with the bundled embedding, it names the person of the picture in `index.csv` whose
largest face is most similar.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from s3fd.attributes import run
from s3fd.attributes.config import FinetuneConfig, load_config
from s3fd.attributes.finetune import finetune
from s3fd.boxes import FloatArray
from s3fd.data.labels import LabelledPicture
from s3fd.evaluation.attribute_faces import observe
from s3fd.evaluation.attributes import wilson_interval
from s3fd.inference.detector import Detector, load
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.weights.network_file import load_network

COLUMN = "Tags"


def rows(epochs: float | None) -> dict[str, FinetuneConfig]:
    """Return the configuration of each head, by its title in the table."""
    recipe = load_config("recipe").model_copy(update={"balanced": True})
    tower = recipe.model_copy(
        update={
            "head": load_config("tower").head.model_copy(update={"layers": (1, 2, 3, 4)}),
            "epochs": 30.0,
        }
    )
    head = load_config("branch").head
    branch = recipe.model_copy(update={"head": head, "epochs": 30.0})
    alone = branch.model_copy(update={"head": head.model_copy(update={"initial": "random"})})
    every = {
        "whole picture: last map, pooled": load_config("picture"),
        "face: a convolution on each layer": recipe.model_copy(update={"epochs": 30.0}),
        "face: a tower on the fused maps": tower,
        "face: a branch off stride 8, from nothing": alone,
        "face: a branch off stride 8, from the features of gender's": branch,
    }
    if epochs is not None:
        every = {title: config.model_copy(update={"epochs": epochs}) for title, config in every.items()}
    return every


def test_table(folder: Path, out: Path) -> None:
    """Write the table of the test pictures: each folder's name ends in the number of its person."""
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", COLUMN])
        for picture in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"}):
            number = re.findall(r"\d+", picture.parent.name)[-1]
            writer.writerow([picture.relative_to(folder), f"Celeb_{number}"])


def main() -> None:
    """Train and test each head, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the exercise's pictures")
    parser.add_argument("--weights", default="slim", help="detector to start from")
    parser.add_argument("--epochs", type=float, help="epochs of every row, for a quick look")
    parser.add_argument("--rows", nargs="+", help="only rows whose title has one of these words")
    args = parser.parse_args()
    learning = run.read_labels(args.data / "index.csv", args.data / "Celeb_Small_Dataset", COLUMN, None)
    (target,) = learning.targets
    classes = ",".join(f"{name}={name}" for name in target.names)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "test.csv"
        test_table(args.data / "Test", table)
        testing = run.read_labels(table, args.data / "Test", f"{COLUMN}:{classes}", None).pictures
    print("| head | right of test pictures | 95 % interval | without a face | seconds of training |")
    print("|---|---:|---:|---:|---:|")
    for title, config in rows(args.epochs).items():
        if args.rows and not any(word in title for word in args.rows):
            continue
        network = load_network(run.detector_weights(args.weights))
        start = time.perf_counter()
        finetune(network, "person", target, learning.pictures, config)
        seconds = time.perf_counter() - start
        found = observe(Detector(TorchRuntime(network), attributes=("person",)), "person", testing, COLUMN)
        told = found.observations.probabilities.argmax(axis=1)
        right = int((told == found.observations.labels).sum())
        print_row(title, right, len(testing), found.missed, seconds)
    title = "face: a gallery of vectors of the embedding"
    if not args.rows or any(word in title for word in args.rows):
        right, missed = by_gallery(learning.pictures, testing)
        print_row(title, right, len(testing), missed, 0)


def by_gallery(known: Sequence[LabelledPicture], asked: Sequence[LabelledPicture]) -> tuple[int, int]:
    """Return how many of `asked` are most similar to a picture of their person, and how many show no face."""
    detector = load("slim-identity", embeddings=True)

    def largest(pictures: Sequence[LabelledPicture]) -> tuple[FloatArray, list[int], int]:
        """Return the vectors (N, D) of the largest faces, their people, and how many pictures show none."""
        seen = [(detector(item.path), int(item.labels[COLUMN][0])) for item in pictures]
        found = [
            (faces.embeddings[int(faces.sizes.argmax())], person) for faces, person in seen if len(faces)
        ]
        return np.stack([v for v, _ in found]), [person for _, person in found], len(seen) - len(found)

    vectors, people, _ = largest(known)
    queries, wanted, missed = largest(asked)
    told = np.array(people)[(queries @ vectors.T).argmax(axis=1)]
    return int((told == np.array(wanted)).sum()), missed


def print_row(title: str, right: int, count: int, missed: int, seconds: float) -> None:
    """Print the table row of one method."""
    low, high = wilson_interval(right, count)
    figures = f"{right} of {count}, {right / count:.1%} | {low:.1%}–{high:.1%} | {missed} | {seconds:.0f}"
    print(f"| {title} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
