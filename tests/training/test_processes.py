"""Several processes train what one would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from square_run import curve, exactly, labelled, run, settings

from s3fd.training import loop
from s3fd.training.config import TrainConfig
from s3fd.training.dataset import StepSampler
from s3fd.training.processes import ALONE, Processes, launched
from s3fd.weights.network_file import load_network

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def command(config: Path, squares: Path, folder: Path) -> list[str]:
    rest = ["--data", str(squares), "--device", "cpu", "--out", str(folder)]
    return ["-m", "s3fd", "train", str(config), *rest]


def compare(one: Path, several: Path) -> None:
    """The curve and the weights of two runs are the same but for float32's rounding.

    Batch normalisation of four pictures magnifies that: see the test in float64 for what is exact.
    """
    assert [r["step"] for r in curve(several)] == [r["step"] for r in curve(one)]
    for a, b in zip(curve(one), curve(several), strict=True):
        del a["gradient_norm"], b["gradient_norm"]
        assert a == pytest.approx(b, rel=0.02)
    a, b = (load_network(folder / "weights.safetensors").state_dict() for folder in (one, several))
    for name, tensor in a.items():
        assert torch.allclose(tensor, b[name], rtol=0.05, atol=0.01), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_take_the_steps_of_one(
    squares: Path, tmp_path: Path, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batch normalisation, and labels that one process may have and the other not."""
    told = labelled(squares)
    config = TrainConfig.model_validate(
        settings(
            batch=4,
            steps=4,
            accumulate=accumulate,
            precision="fp32",
            matching={"method": "aligned"},
            loss={"focal": True, "giou_weight": 2.0},
            attributes=[a.model_dump() for a in told.attributes],
            composed=told.composed and told.composed.model_dump(),
        )
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    for count in (1, 2):
        torch.multiprocessing.spawn(exactly, (count, config, squares, tmp_path / f"{count}.pt"), nprocs=count)
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    assert any("loss/light" in figures for figures in one["figures"])
    for a, b in zip(one["figures"], two["figures"], strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(tensor, two["weights"][name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_command_runs_in_two_processes_as_in_one(squares: Path, tmp_path: Path, precision: str) -> None:
    changes = {"batch": 4, "steps": 4, "precision": precision}
    run(squares, tmp_path / "one", **changes)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings(**changes)))
    done = subprocess.run(
        [*LAUNCH, *command(file, squares, tmp_path / "two")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "two" / "weights.safetensors")]  # once
    assert done.stderr.count("in 2 processes") == 1
    assert "Warning" not in done.stderr
    compare(tmp_path / "one", tmp_path / "two")


def test_a_killed_process_is_started_again_and_the_run_goes_on(squares: Path, tmp_path: Path) -> None:
    changes = {"batch": 4, "accumulate": 2, "steps": 24, "precision": "fp32", "checkpoint_every": 3}
    run(squares, tmp_path / "one", **changes)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings(**changes)))
    folder = tmp_path / "two"
    launcher = subprocess.Popen(
        [*LAUNCH, "--max-restarts", "1", *command(file, squares, folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = folder / "metrics.jsonl"
    while launcher.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 8):
        time.sleep(0.01)
    assert launcher.poll() is None, "the run ended before one of it could be killed"
    victim = workers(launcher.pid)[-1]
    os.kill(victim, signal.SIGKILL)
    _, told = launcher.communicate()
    assert launcher.returncode == 0, told
    assert str(victim) in told  # the launcher noticed
    compare(tmp_path / "one", folder)


def workers(launcher: int) -> list[int]:
    """Process numbers of the children of `launcher` that train."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(n) for n in children if b"train" in Path(f"/proc/{n}/cmdline").read_bytes().split(b"\0")]


@pytest.mark.parametrize("parts", [1, 2])
def test_the_shares_of_a_batch_are_the_batch_part_by_part(parts: int) -> None:
    alone = list(StepSampler(3, 5, 12, parts=parts))
    shares = [list(StepSampler(3, 5, 12, parts=parts, rank=rank, count=3)) for rank in range(3)]
    assert [a + b + c for a, b, c in zip(*shares, strict=True)] == alone
    assert [n for part in alone for n in part] == list(range(36, 60))
    assert all(len(StepSampler(3, 5, 12, parts=parts, rank=rank, count=3)) == 2 * parts for rank in range(3))


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_written(
    squares: Path, tmp_path: Path
) -> None:
    config = TrainConfig.model_validate(settings(batch=4))
    samples, _ = loop.read_data(config.data, squares)
    with pytest.raises(ValueError, match="3 processes cannot share a batch of 4 pictures"):
        loop.train(config, samples, tmp_path / "run", processes=Processes(1, 3))
    assert not (tmp_path / "run").exists()


def test_a_process_knows_its_place_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert launched() == ALONE
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert launched() == Processes(5, 8, 1)
    assert not launched().first
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert launched() == ALONE
