#!/usr/bin/env python3
"""Print how long a training step of slim takes in each precision on this machine, as a Markdown table.

usage: training_step.py [--size 320] [--batch 8] [--steps 5] [--device cpu]

The pictures are copies of the example photograph. The precisions take turns, so that what else the machine
does concerns all of them; each figure is the median of its steps.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch

from s3fd.training import loop
from s3fd.training.config import TrainConfig
from s3fd.training.precision import has_bf16
from s3fd.training.trainer import Trainer

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
FACE = "178 63 92 112"
"""Left, top, width and height of the face in the example photograph."""

PRECISIONS = ("fp32", "bf16")


def seconds(config: TrainConfig, root: Path, device: torch.device) -> dict[str, list[float]]:
    """Return the seconds of each step in each precision, without a first one to warm up."""
    samples, _ = loop.read_data(config.data, root)
    batches = list(loop.batches(config, samples, [], 0))
    trainers = {p: Trainer(config.model_copy(update={"precision": p}), device) for p in PRECISIONS}
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number, batch in enumerate(batches):
        for precision, trainer in trainers.items():
            start = time.perf_counter()
            trainer.advance(batch)
            if number:
                taken[precision].append(time.perf_counter() - start)
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=320, help="side in pixels, a multiple of 32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLE, folder)
        (Path(folder) / "gt.txt").write_text(f"{EXAMPLE.name}\n1\n{FACE} 0 0 0 0 0 0\n")
        config = TrainConfig.model_validate(
            {
                "data": [{"format": "wider", "images": ".", "annotations": "gt.txt"}],
                "size": options.size,
                "batch": options.batch,
                "steps": options.steps + 1,
                "workers": 0,
            }
        )
        taken = {p: statistics.median(t) for p, t in seconds(config, Path(folder), device).items()}
    print(f"{options.batch} pictures of {options.size}²; instructions for bf16: {has_bf16(device)}\n")
    print("| precision | s per step | of fp32 |\n|---|---|---|")
    for precision, median in taken.items():
        print(f"| {precision} | {median:.2f} | {median / taken['fp32']:.2f} |")


if __name__ == "__main__":
    main()
