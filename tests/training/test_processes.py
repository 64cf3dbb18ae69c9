"""Several processes train what one would."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from square_run import curve, labelled, run, settings

from s3fd.training import loop
from s3fd.training.config import TrainConfig
from s3fd.training.dataset import StepSampler
from s3fd.training.processes import ALONE, Processes, launched


def command(config: Path, squares: Path, folder: Path) -> list[str]:
    rest = ["--data", str(squares), "--device", "cpu", "--out", str(folder)]
    return ["-m", "s3fd", "train", str(config), *rest]


def test_two_processes_take_the_steps_of_one(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batch normalisation, labels that one process may have and the other not, and a batch in parts."""
    told = labelled(squares)
    kinds = [
        {"matching": {"method": "aligned"}, "loss": {"focal": True, "giou_weight": 2.0}},
        {"matching": {"method": "compensation"}, "batch": 8, "accumulate": 2},
    ]
    common = settings(
        batch=4,
        steps=2,
        precision="fp32",
        optimiser={"name": "sgd", "rate": 0.01, "warmup": 0},  # AdamW takes the sign of what is near zero
        attributes=[a.model_dump() for a in told.attributes],
        composed=told.composed and told.composed.model_dump(),
    )
    configs = [TrainConfig.model_validate({**common, **kind}) for kind in kinds]
    take([ALONE], configs, squares, tmp_path / "1.pt")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, value in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", free_port()), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    take([Processes(0, 2, 0), Processes(1, 2, 1)], configs, squares, tmp_path / "2.pt")
    for one, two in zip(*(torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2)), strict=True):
        assert any("loss/light" in figures for figures in one["figures"])
        for a, b in zip(one["figures"], two["figures"], strict=True):
            assert a == pytest.approx(b, rel=1e-3)  # the loss itself is float32
        for name, tensor in one["weights"].items():
            torch.testing.assert_close(tensor, two["weights"][name], rtol=1e-4, atol=1e-6)


def test_a_killed_process_is_started_again_and_the_run_goes_on(squares: Path, tmp_path: Path) -> None:
    changes = {"batch": 4, "steps": 14, "checkpoint_every": 3}
    file, folder = tmp_path / "run.yaml", tmp_path / "two"
    file.write_text(yaml.safe_dump(settings(**changes)))
    launcher = subprocess.Popen(
        [*launch("--max-restarts", "1"), *command(file, squares, folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = folder / "metrics.jsonl"
    while launcher.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 5):
        time.sleep(0.01)
    assert launcher.poll() is None, "the run ended before one of it could be killed"
    victim = workers(launcher.pid)[-1]
    os.kill(victim, signal.SIGKILL)
    before = [json.loads(line) for line in metrics.read_text().splitlines(keepends=True) if "\n" in line]
    printed, told = launcher.communicate()
    assert launcher.returncode == 0, told
    assert str(victim) in told  # the launcher noticed
    assert printed.splitlines() == [str(folder / "weights.safetensors")]  # one of two speaks
    assert told.count("in 2 processes") == 2 and "Warning" not in told
    after = curve(folder)
    assert [record["step"] for record in after] == list(range(14))
    assert len(before) >= 5
    for first, second in zip(before, after, strict=False):  # what was done twice came out the same
        assert first == pytest.approx(second, rel=1e-4)
    run(squares, tmp_path / "one", **{**changes, "steps": 1})
    first = curve(tmp_path / "one")[0]["loss/total"]  # in bf16 the next ones go apart by rounding
    assert after[0]["loss/total"] == pytest.approx(first, rel=0.05)


def take(processes: list[Processes], configs: list[TrainConfig], squares: Path, out: Path) -> None:
    """Take the steps of `configs` as `exactly` does, in processes that share nothing with this one."""
    out.with_suffix(".pkl").write_bytes(pickle.dumps((processes, configs, squares, out)))
    program = "import pickle, sys; from square_run import exactly; rank, job = sys.argv[1:]\n"
    program += "with open(job, 'rb') as file: exactly(int(rank), *pickle.load(file))"
    command = [sys.executable, "-c", program]
    tests = Path(__file__).parents[1]
    running = [
        subprocess.Popen([*command, str(process.rank), str(out.with_suffix(".pkl"))], cwd=tests)
        for process in processes
    ]
    assert [process.wait() for process in running] == [0] * len(processes)


def free_port() -> str:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def launch(*options: str) -> list[str]:
    """The start of a command that two processes run."""
    place = ["--master-addr", "127.0.0.1", "--master-port", free_port()]
    return [sys.executable, "-m", "torch.distributed.run", *place, "--nproc-per-node", "2", *options]


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
    with pytest.raises(ValueError, match="cannot be split evenly among 3 processes"):
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
