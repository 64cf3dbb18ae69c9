from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from s3fd.attributes.config import FinetuneConfig
from s3fd.embedding.config import EmbedConfig
from s3fd.training import checkpoint
from s3fd.training.checkpoint import CheckpointError
from s3fd.training.config import OptimiserConfig, StrictConfig
from s3fd.training.journal import open_journal
from s3fd.training.schedule import make_optimiser


class Config(StrictConfig):
    rate: float = 0.1


BASIS = {"other labels": "a"}


def steps(folder: Path, count: int, every: int = 3, last: int = 10) -> tuple[nn.Module, float]:
    """Take up to `count` steps of a run in `folder`; returns what learns, and the sum of losses."""
    torch.manual_seed(0)
    module = nn.Linear(4, 3)
    optimiser = make_optimiser(module, OptimiserConfig())
    with open_journal(folder, Config(), every, BASIS) as journal:
        start = journal.begin({"module": module, "optimiser": optimiser})
        for step in range(start, min(start + count, last)):
            loss = module(torch.full((1, 4), float(step))).square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            journal.add({"loss": loss.item(), "odd": math.nan}, last=step + 1 == last)
        return module, journal.sums["loss"]


def test_a_run_goes_on_where_its_checkpoint_is(tmp_path: Path) -> None:
    whole, total = steps(tmp_path / "whole", 10)
    steps(tmp_path / "stopped", 5)  # two more than there is a checkpoint of
    assert checkpoint.load(tmp_path / "stopped" / "checkpoint.pt")["step"] == 3
    module, again = steps(tmp_path / "stopped", 10)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), module.parameters(), strict=True))
    assert again == pytest.approx(total)
    records = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "stopped")]
    assert records[0] == records[1]
    assert [json.loads(line)["step"] for line in records[0].splitlines()] == list(range(10))
    assert "odd" not in records[0]
    module, _ = steps(tmp_path / "stopped", 10)  # nothing is left to do
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), module.parameters(), strict=True))


def test_time_counts_from_the_beginning_of_the_first_run(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    steps_before = {
        "step": 1,
        "config": Config().model_dump_json(),
        "basis": BASIS,
        "seconds": 1000.0,
        "sums": {},
    }
    checkpoint.save(tmp_path / "checkpoint.pt", {**steps_before, "module": module.state_dict()})
    with open_journal(tmp_path, Config(), 1, BASIS) as journal:
        assert journal.begin({"module": module}) == 1
        assert 1000 <= journal.seconds < 1100


def test_another_run_is_not_continued_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    steps(tmp_path, 4)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(CheckpointError, match="another configuration"),
        open_journal(tmp_path, Config(rate=1), 3, BASIS),
    ):
        pass
    with (
        pytest.raises(CheckpointError, match="with other labels"),
        open_journal(tmp_path, Config(), 3, {"other labels": "b"}),
    ):
        pass
    with (
        pytest.raises(CheckpointError, match="does not match"),
        open_journal(tmp_path, Config(), 3, BASIS) as journal,
    ):
        journal.begin({"module": nn.Linear(9, 9)})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("config", [FinetuneConfig(), EmbedConfig()])
def test_the_interval_of_checkpoints_may_change(tmp_path: Path, config: StrictConfig) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save_run(path, 3, config, {})
    assert checkpoint.load_run(path, config.model_copy(update={"checkpoint_every": 9}))["step"] == 3
    with pytest.raises(CheckpointError, match="another configuration"):
        checkpoint.load_run(path, config.model_copy(update={"epochs": 9.0}))
