"""Checkpoints that are either whole or not there."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from s3fd.weights.atomic import write_atomically
from s3fd.weights.fingerprint import update

CHECKSUM = "sha256"
"""Key of the state that has the checksum of the rest."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` so that a reader, or a killed run, finds the old file or the new one, never a part."""
    buffer = io.BytesIO()
    torch.save({**state, CHECKSUM: _checksum(state)}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code from it.

    Raises:
        CheckpointError: the file is damaged or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen unrelated types for a damaged file
        raise CheckpointError(f"{path} is not a checkpoint: {error}") from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of a training run")
    if CHECKSUM in state and state.pop(CHECKSUM) != _checksum(state):  # earlier versions wrote none
        raise CheckpointError(f"{path} is damaged: its checksum is another")
    return state


def _checksum(state: dict[str, Any]) -> str:
    """SHA-256 of a state: PyTorch reads over a flipped bit without a word."""
    digest = hashlib.sha256()
    update(digest, "state", state)
    return digest.hexdigest()
