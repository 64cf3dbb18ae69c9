"""Checksums of weights files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def model_digest(path: Path) -> str:
    """SHA-256, in hexadecimal, of a model: of its file, or of OpenVINO's two."""
    if path.suffix != ".xml":
        return sha256(path)
    both = sha256(path) + sha256(path.with_suffix(".bin"))
    return hashlib.sha256(both.encode()).hexdigest()
