"""Runs that are killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch


def as_many_threads() -> dict[str, str]:
    """The environment of a process that sums in the same order as this one: with as many threads."""
    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}


def train_and_kill(folder: Path, after: int, *arguments: object) -> None:
    """Run ``s3fd`` and kill it, with all its processes, once ``metrics.jsonl`` in `folder` has `after` lines.

    It uses as many threads as this process, so that a run can go on here as if it had never been elsewhere.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "s3fd", *(str(argument) for argument in arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=as_many_threads(),
    )
    metrics = folder / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= after):
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "weights.safetensors").exists()
