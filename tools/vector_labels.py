#!/usr/bin/env python3
"""Label unlabelled faces from a teacher's vectors of them, where these leave little doubt.

    python tools/vector_labels.py vectors.npz data/labelled/train.csv data/labelled/crowds.csv --skip TEST.csv

VECTORS is what tools/teacher_vectors.py wrote. A small network learns the labels of TRAIN from the vectors of
its faces. It then classifies all faces of VECTORS that are neither in TRAIN nor in the tables of `--skip`.
OUT has TRAIN's rows, followed by the faces that the network is sure of. A fifth of the labelled faces is held
out, and the accuracy on them, and on those that the network is sure of, is printed.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from s3fd.embedding.faces import face_key

EPOCHS, BATCH, HIDDEN = 10, 256, 256

BOX = ("x1", "y1", "x2", "y2")

Key = tuple[str, tuple[int, ...]]


def main() -> None:
    """Train, evaluate and label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vectors", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", default="Gender", help="column of the labels")
    parser.add_argument("--sure", type=float, default=0.95, help="least probability of a label")
    parser.add_argument("--skip", nargs="*", type=Path, default=[], help="tables whose faces get no label")
    arguments = parser.parse_args()
    with np.load(arguments.vectors) as archive:
        names, boxes, vectors = archive["images"], archive["boxes"], archive["vectors"]
    keys = [face_key(Path(str(name)), box) for name, box in zip(names, boxes, strict=True)]
    labels = read(arguments.train, arguments.target)
    classes = sorted({label for label in labels.values() if label})
    inputs = F.normalize(torch.from_numpy(vectors - vectors.mean(axis=0)).float(), dim=1)
    known = [i for i, k in enumerate(keys) if labels.get(k)]
    targets = torch.tensor([classes.index(labels[keys[i]]) for i in known])
    test = torch.arange(len(known)) % 5 == 0
    network = learn(inputs[known][~test], targets[~test], len(classes))
    probability, told = tell(network, inputs)
    sure = probability >= arguments.sure
    right, certain = (told[known] == targets)[test].float(), sure[known][test]
    print(
        f"of {len(right)} faces kept aside {right.mean():.1%} told rightly, "
        f"{right[certain].mean():.1%} of the {certain.float().mean():.0%} it is sure of"
    )
    skipped = {k for table in (arguments.train, *arguments.skip) for k in read(table, arguments.target)}
    chosen = [i for i, k in enumerate(keys) if sure[i] and k not in skipped]
    with arguments.train.open(newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    for i in chosen:
        box = {name: f"{v:.1f}" for name, v in zip(BOX, boxes[i], strict=True)}
        rows.append({"image": str(names[i]), **box, "invalid": "0", arguments.target: classes[int(told[i])]})
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(chosen)} of {sum(k not in skipped for k in keys)} faces labelled in {arguments.out}")


def read(table: Path, column: str) -> dict[Key, str]:
    """Read the label of each face of a table; empty where it is not known."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    boxes = (np.array([row[name] for name in BOX], np.float32) for row in rows)
    return {face_key(Path(row["image"]), box): row[column] for row, box in zip(rows, boxes, strict=True)}


def learn(inputs: Tensor, targets: Tensor, classes: int) -> nn.Module:
    """Train a network with one hidden layer to predict `targets` (N,) from `inputs` (N, D) of length 1."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(inputs.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.4), nn.Linear(HIDDEN, classes)
    )
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    scale = inputs.shape[1] ** 0.5  # so that each number is about 1
    for _ in trange(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            loss = F.cross_entropy(network(scale * inputs[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


@torch.no_grad()
def tell(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return probability and number (N,) of the most likely class of each of `inputs` (N, D)."""
    probabilities = network(inputs.shape[1] ** 0.5 * inputs).softmax(dim=1)
    return probabilities.max(dim=1)


if __name__ == "__main__":
    main()
