"""Checksums of weights files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def model_digest(path: Path) -> str:
    """Return the SHA-256 of a model, in hexadecimal; for OpenVINO, it covers both files of the model."""
    if path.suffix != ".xml":
        return sha256(path)
    both = sha256(path) + sha256(path.with_suffix(".bin"))
    return hashlib.sha256(both.encode()).hexdigest()
