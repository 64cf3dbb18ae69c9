"""Checksums of tensors and of structures that contain them, such as the state of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from hashlib import _Hash


def update(digest: _Hash, name: object, value: Any) -> None:
    """Add a named value to `digest`: dictionaries and lists recursively, tensors bit by bit."""
    digest.update(f"{name!r}:{type(value).__name__}:".encode())
    if isinstance(value, dict):
        for key, each in value.items():
            update(digest, key, each)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            update(digest, number, each)
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    else:
        digest.update(repr(value).encode())
