"""A trained network as one safetensors file that says what it is."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from s3fd.network import S3FD, build
from s3fd.weights.atomic import write_atomically

FORMAT = "s3fd"


class WeightsError(ValueError):
    """A weights file that cannot be used; the message names the file and what does not fit."""


def save_network(network: S3FD, backbone: str, path: Path, note: dict[str, str] | None = None) -> None:
    """Write `network`, built as `backbone`, with its metadata; `note` adds to the metadata."""
    backgrounds = str(network.heads.backgrounds)
    metadata = {"format": FORMAT, "backbone": backbone, "backgrounds": backgrounds, **(note or {})}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, metadata))


def load_network(path: Path) -> S3FD:
    """Read a network, ready for inference.

    Raises:
        WeightsError: the file is missing, damaged, not written by `save_network`, or has a tensor that does
            not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — not a dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}") from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path} was not written by s3fd: its metadata is {json.dumps(metadata)}")
    network = build(metadata["backbone"], int(metadata["backgrounds"]))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit {metadata['backbone']}: {error}") from error
    return network.eval()
