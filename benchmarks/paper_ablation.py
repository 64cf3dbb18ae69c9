"""Repeat the paper's ablation on this project's data: what each of its ideas brings, with one budget for all.

Run: python benchmarks/paper_ablation.py configs/slim.yaml --data DATA --steps 2000 --wider wider_val_subset

The four rows are matching as in SSD, without the stride-4 layer; the same with that layer, so that all scales
are equal; with scale compensation; and with max-out. Each is a run of its own below --out, and resumes if it
was stopped. The paper's rows start from a backbone trained on ImageNet. --from WEIGHTS starts these rows from
a detector's backbone, with random heads; its stages stay frozen. Without it they start from random weights
and need some 8,000 steps.

Prints average precision and, by face size, the share of the hard setting's faces that are found with an IoU
of 0.5 at one false positive per picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from s3fd import boxes as box_ops
from s3fd.evaluation import wider
from s3fd.evaluation.protocols import PROTOCOLS
from s3fd.evaluation.wider import GroundTruth
from s3fd.faces import Faces
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import build
from s3fd.training import loop
from s3fd.training.config import TrainConfig, load_config
from s3fd.weights.network_file import load_network, save_network

SIZES = (0, 16, 32, 64, 128, 10_000)
"""Edges of the size groups: geometric mean side of a face, in pixels of the original picture."""

SSD_IOU = 0.5
"""IoU from which SSD matches an anchor to a face."""


def rows(base: TrainConfig) -> dict[str, TrainConfig]:
    """Return the configurations by title, each with one idea more than the one before."""

    def row(matching: dict[str, Any], backgrounds: int) -> TrainConfig:
        return base.model_copy(
            update={
                "matching": base.matching.model_copy(update={"method": "compensation", **matching}),
                "network": base.network.model_copy(update={"backgrounds": backgrounds}),
            }
        )

    ssd = {"match_iou": SSD_IOU, "anchors_per_face": 0}
    return {
        "SSD-style": row({**ssd, "first_layer": 1}, 1),
        "+ scale-equitable layers": row(ssd, 1),
        "+ scale compensation": row({}, 1),
        "+ max-out": row({}, 3),
    }


def beginning(weights: Path, config: TrainConfig, path: Path) -> Path:
    """Write a network with random heads on the backbone of `weights`, for a run to start from."""
    torch.manual_seed(config.seed)
    network = build(config.network.backbone, config.network.backgrounds)
    network.backbone.load_state_dict(load_network(weights).backbone.state_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    save_network(network, config.network.backbone, path)
    return path


def main() -> None:
    """Train and test each row, print the table and draw the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="configuration that all rows share")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--wider", type=Path, required=True, help="folder with WIDER_val and ground_truth")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--warmup", type=int, default=50, help="warm-up steps")
    parser.add_argument("--from", dest="weights", type=Path, help="detector whose backbone rows start from")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--limit", type=int, help="test only on the first LIMIT pictures")
    args = parser.parse_args()
    base = load_config(args.config)
    base = base.model_copy(
        update={
            "steps": args.steps,
            "optimiser": base.optimiser.model_copy(update={"warmup": args.warmup}),
            "network": base.network.model_copy(update={"frozen_stages": args.weights is not None}),
        }
    )
    samples, _ = loop.read_data(base.data, args.data)
    files = sorted((args.wider / "WIDER_val" / "images").glob("*/*.jpg"))[: args.limit]
    pictures = {f"{file.parent.name}/{file.stem}": file for file in files}
    truth = wider.load(args.wider / "ground_truth").only(pictures)
    names = [f"{low}–{high}" if high < SIZES[-1] else f"over {low}" for low, high in pairwise(SIZES)]
    print(f"| | easy | medium | hard | {' | '.join(names)} | seconds |")
    print("|---|" + "---:|" * (4 + len(names)))
    curves: dict[str, list[float]] = {}
    for number, (title, config) in enumerate(rows(base).items()):
        folder = args.out / str(number)
        initial = beginning(args.weights, config, folder / "initial.safetensors") if args.weights else None
        start = time.perf_counter()
        network = loop.train(config, samples, folder, initial=initial)
        seconds = time.perf_counter() - start
        runtime = TorchRuntime(network)
        vga = PROTOCOLS["vga"]
        found = {name: vga(runtime, cv2.imread(str(file))) for name, file in pictures.items()}
        precision = [curve.average_precision for curve in wider.evaluate(found, truth).values()]
        curves[title] = recall_by_size(found, truth)
        cells = [f"{value:.3f}" for value in (*precision, *curves[title])]
        print(f"| {title} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)
    if args.plot:
        draw(curves, names, args.plot)


def recall_by_size(found: Mapping[str, Faces], truth: GroundTruth) -> list[float]:
    """Return the share of faces of each size that score above all but one false positive per picture."""
    alarms, best, sizes = [], [], []
    for name, picture in truth.pictures.items():
        faces, real = found[name], picture.boxes.astype(np.float32)
        overlap = box_ops.iou(faces.boxes, real)
        alarms.append(faces.scores[(overlap < 0.5).all(axis=1)])
        hard = picture.required["hard"]
        best.append(np.where(overlap >= 0.5, faces.scores[:, None], 0).max(axis=0, initial=0)[hard])
        sizes.append(np.sqrt(box_ops.area(real))[hard])
    false = np.sort(np.concatenate(alarms))[::-1]
    least = false[len(truth.pictures)] if len(false) > len(truth.pictures) else 0.0
    scores, size = np.concatenate(best), np.concatenate(sizes)
    groups = [(size >= low) & (size < high) for low, high in pairwise(SIZES)]
    return [float((scores[group] > least).mean()) if group.any() else float("nan") for group in groups]


def draw(curves: Mapping[str, list[float]], names: list[str], path: Path) -> None:
    """Plot recall by face size, one line per row."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for title, values in curves.items():
        axes.plot(names, values, marker="o", label=title)
    axes.set(xlabel="face, pixels", ylabel="found at a false alarm a picture", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
