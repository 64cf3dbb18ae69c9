"""Training runs on a folder of bright squares, which tests/training/conftest.py makes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from s3fd.training import loop, trainer
from s3fd.training.config import TrainConfig
from s3fd.training.processes import Processes, together


def settings(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "data": [{"format": "wider", "images": ".", "annotations": "gt.txt"}],
        "size": 128,
        "batch": 2,
        "steps": 12,
        "augmentation": {"grids": [1.0], "distort": False},
        "optimiser": {"warmup": 2},
        "workers": 0,
        "checkpoint_every": 4,
        "pictures_every": 6,
    }
    return {**base, **changes}


def run(squares: Path, folder: Path, **changes: object) -> list[dict[str, float]]:
    config = TrainConfig.model_validate(settings(**changes))
    samples, _ = loop.read_data(config.data, squares)
    loop.train(config, samples, folder)
    return curve(folder)


def labelled(squares: Path, **changes: object) -> TrainConfig:
    """A run that also tells bright squares from dark ones; the table has both."""
    rows = ["image,x1,y1,x2,y2,shade"]
    for i in range(8):
        picture = np.full((60, 60, 3), 128, np.uint8)
        picture[10:50, 10:50] = (40, 230)[i % 2]
        cv2.imwrite(str(squares / f"shade{i}.png"), picture)
        rows.append(f"shade{i}.png,10,10,50,50,{('dark', 'bright')[i % 2]}")
    (squares / "shades.csv").write_text("\n".join(rows))
    attributes = [{"name": "light", "target": "shade:dark,bright", "head": {"kind": "tower", "depth": 1}}]
    composed = {"images": ".", "annotations": "shades.csv", "share": 0.5, "face_sizes": [16, 60]}
    return TrainConfig.model_validate(settings(attributes=attributes, composed=composed, **changes))


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def exactly(
    rank: int, processes: Sequence[Processes], configs: Sequence[TrainConfig], root: Path, out: Path
) -> None:
    """Run `configs` as one of `processes` in float64, where rounding hides nothing; write the results."""
    if len(processes) > 1:  # in a process of its own
        os.environ["RANK"] = str(rank)
    normalise, build, threads = trainer.normalise, trainer.build, torch.get_num_threads()
    torch.set_num_threads(1)  # threads of so little work wait for each other
    trainer.normalise = lambda pictures: normalise(pictures).double()
    trainer.build = lambda *options: build(*options).double()
    try:
        with together(processes[rank], "cpu") as device:
            results = [_steps(config, root, processes[rank], device) for config in configs]
    finally:
        trainer.normalise, trainer.build = normalise, build
        torch.set_num_threads(threads)
    if rank == 0:
        torch.save(results, out)


def _steps(config: TrainConfig, root: Path, processes: Processes, device: torch.device) -> dict[str, object]:
    """All steps of a run: what was recorded of each, and the averaged weights."""
    samples, _ = loop.read_data(config.data, root)
    items, _ = loop.read_labelled(config, root)
    training = trainer.Trainer(config, device, processes)
    stream = iter(loop.batches(config, samples, items, 0, processes))
    figures = [training.advance(*parts) for parts in zip(*[stream] * config.accumulate, strict=True)]
    return {"figures": figures, "weights": training.average.module.state_dict()}
