"""Checkpoints, which are written atomically and carry a checksum."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from s3fd.training.config import StrictConfig
from s3fd.weights.atomic import write_atomically
from s3fd.weights.fingerprint import update

NAME = "checkpoint.pt"
"""File name of the checkpoint in the folder of its run."""

CHECKSUM = "sha256"
"""Key under which the state holds the checksum of the rest."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file."""


class Part(Protocol):
    """A stateful part of a run, such as a network, a weight average or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """Return the current state."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Restore a saved state."""


def save_run(
    path: Path,
    step: int,
    config: StrictConfig,
    parts: Mapping[str, Part],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint of a run with `config` after `step` steps: its parts' states, and `more`."""
    states = {name: part.state_dict() for name, part in parts.items()}
    save(path, {"step": step, "config": config.model_dump_json(), **states, **(more or {})})


def load_run(path: Path, config: StrictConfig) -> dict[str, Any]:
    """Read the checkpoint of a run with `config`.

    Raises:
        CheckpointError: the file is damaged, or belongs to a run with another configuration.
    """
    state = load(path)
    if not _same(config, state.get("config", "")):
        raise of_another_run(path, "another configuration")
    return state


def of_another_run(path: Path, what: str) -> CheckpointError:
    """Build the error for a checkpoint that was made with `what`, such as another configuration."""
    return CheckpointError(f"{path} was written by a run with {what}: choose another folder for this run")


def restore(path: Path, state: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
    """Restore the states of `parts` from `state`, which was read from `path`.

    Raises:
        CheckpointError: a part is missing or does not fit.
    """
    for name, part in parts.items():
        try:
            part.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path} does not match this run: {name}: {error}") from error


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically: a reader, even after a crash, finds either the old file or the new one."""
    buffer = io.BytesIO()
    torch.save({**state, CHECKSUM: _checksum(state)}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code from it.

    Raises:
        CheckpointError: the file is damaged or not a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen unrelated types for a damaged file
        raise CheckpointError(f"{path} is not a checkpoint: {error}") from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of a training run")
    if CHECKSUM in state and state.pop(CHECKSUM) != _checksum(state):  # earlier versions wrote none
        raise CheckpointError(f"{path} is damaged: its checksum does not match")
    return state


def _same(config: StrictConfig, saved: str) -> bool:
    """Whether a saved configuration gives the same weights as `config`.

    An earlier version's may lack fields with defaults.
    """
    try:
        return type(config).model_validate_json(saved).decisive() == config.decisive()
    except ValueError:
        return False


def _checksum(state: dict[str, Any]) -> str:
    """Return the SHA-256 of a state; PyTorch itself does not detect a flipped bit."""
    digest = hashlib.sha256()
    update(digest, "state", state)
    return digest.hexdigest()
