"""One step, whole or in parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from square_run import labelled, settings

from s3fd.training import checkpoint, loop
from s3fd.training.checkpoint import CheckpointError
from s3fd.training.config import TrainConfig
from s3fd.training.trainer import Trainer


def advanced(config: TrainConfig, squares: Path) -> tuple[Trainer, dict[str, float]]:
    """A trainer after one step, its batch normalisation frozen, and the figures."""
    samples, _ = loop.read_data(config.data, squares)
    items, _ = loop.read_labelled(config, squares)
    trainer = Trainer(config, torch.device("cpu"))
    trainer.network.eval()  # statistics of parts are not those of the whole
    stream = iter(loop.batches(config, samples, items, 0))
    figures = trainer.advance(*(next(stream) for _ in range(config.accumulate)))
    return trainer, figures


def test_parts_add_up_to_the_whole_batch(squares: Path) -> None:
    told = labelled(squares)
    common = {
        "batch": 4,
        "network": {"frozen_statistics": True},
        "precision": "fp32",
        "attributes": [a.model_dump() for a in told.attributes],
        "composed": told.composed and told.composed.model_dump(),
        "optimiser": {"name": "sgd", "rate": 0.1, "warmup": 0, "clip": 1000.0},
    }
    whole, once = advanced(TrainConfig.model_validate(settings(**common)), squares)
    parted, summed = advanced(TrainConfig.model_validate(settings(**common, accumulate=4)), squares)
    assert once.keys() == summed.keys() and "loss/light" in once
    assert once == pytest.approx(summed, rel=1e-4)
    for a, b in zip(*(t.network.state_dict().values() for t in (whole, parted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_parts_with_anchors_assigned_by_predictions_are_trained(squares: Path) -> None:
    config = TrainConfig.model_validate(
        settings(batch=4, accumulate=2, matching={"method": "aligned"}, loss={"focal": True})
    )
    trainer, figures = advanced(config, squares)
    assert trainer.step == 1 and figures["loss/total"] > 0


def test_a_checkpoint_from_before_a_field_existed_is_continued(squares: Path, tmp_path: Path) -> None:
    config = TrainConfig.model_validate(settings())
    trainer, _ = advanced(config, squares)
    path = tmp_path / "checkpoint.pt"
    trainer.save(path)
    state = checkpoint.load(path)
    saved = json.loads(state["config"])
    del saved["accumulate"]
    checkpoint.save(path, {**state, "config": json.dumps(saved)})
    again = Trainer(config, torch.device("cpu"))
    again.restore(path)
    assert again.step == 1
    checkpoint.save(path, {**state, "config": json.dumps({**saved, "nonsense": 1})})
    with pytest.raises(CheckpointError, match="another configuration"):
        again.restore(path)
