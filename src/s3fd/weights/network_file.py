"""Trained networks as self-describing safetensors files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from s3fd.network import S3FD, build
from s3fd.network.attributes import Attribute
from s3fd.network.embedding import Embedding
from s3fd.weights.atomic import write_atomically
from s3fd.weights.fingerprint import update

FORMAT = "s3fd"

CHECKSUM = "sha256"
"""Key under which the metadata holds the checksum of the rest."""


class WeightsError(ValueError):
    """A weights file that cannot be used; the message names the file and what does not fit."""


def save_network(network: S3FD, backbone: str, path: Path, note: dict[str, str] | None = None) -> None:
    """Write `network`, built as `backbone`, with its metadata; `note` adds to the metadata.

    The same network and metadata always give the same bytes.
    """
    backgrounds = str(network.heads.backgrounds)
    metadata = {"format": FORMAT, "backbone": backbone, "backgrounds": backgrounds, **(note or {})}
    if network.attributes:
        metadata["attributes"] = json.dumps([asdict(attribute) for attribute in network.attributes])
    if network.embedding is not None:
        metadata["embedding"] = json.dumps(asdict(network.embedding))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata[CHECKSUM] = _checksum(metadata, tensors)
    write_atomically(path, _in_order(save(tensors, metadata)))


def _in_order(data: bytes) -> bytes:
    """Sort the metadata in the bytes of a safetensors file: safetensors writes it in varying order."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def load_network(path: Path) -> S3FD:
    """Read a network, ready for inference.

    Raises:
        WeightsError: the file is missing, damaged, not written by `save_network`, or has a tensor that does
            not fit.
    """
    metadata, tensors = _read(path)
    try:
        attributes = [Attribute(**_plain(fields)) for fields in json.loads(metadata.get("attributes", "[]"))]
        network = build(metadata["backbone"], int(metadata["backgrounds"]), attributes)
        if "embedding" in metadata:
            network.embed(Embedding(**_plain(json.loads(metadata["embedding"]))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} does not describe a valid network: {error}") from error
    if why := misfit(network.state_dict(), tensors):
        raise WeightsError(
            f"{path} does not match its network: {why}; was it written by another version of s3fd?"
        )
    network.load_state_dict(tensors)
    return network.eval()


def misfit(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """Explain why a network with the tensors `own` cannot load those `given`; None if it can."""
    wrong = [name for name in sorted({*own, *given}) if _shape(own, name) != _shape(given, name)]
    if not wrong:
        return None
    name = wrong[0]
    what = "is missing" if name not in given else "is unknown" if name not in own else "has a different shape"
    more = f", and {len(wrong) - 1} more do not match" if len(wrong) > 1 else ""
    return f"{name} {what}{more}"


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None if there is no tensor of that name."""
    return tuple(tensors[name].shape) if name in tensors else None


def backbone_of(path: Path) -> str:
    """Return the name of a weights file's backbone; raises WeightsError as `load_network` does."""
    return _read(path)[0]["backbone"]


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the metadata and tensors of a weights file."""
    if path.suffix == ".onnx":
        raise WeightsError(
            f"{path} is an exported model: use the weights it was exported from (.safetensors)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — not a dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}") from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path} was not written by s3fd: its metadata is {json.dumps(metadata)}")
    if CHECKSUM in metadata:  # weights of earlier versions have none
        stored = metadata.pop(CHECKSUM)
        if stored != _checksum(metadata, tensors):
            raise WeightsError(f"{path} is damaged: its checksum does not match")
    return metadata, tensors


def _checksum(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of metadata and tensors: safetensors itself would not detect a flipped bit."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        update(digest, name, tensors[name])
    return digest.hexdigest()


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Convert lists to tuples, which JSON does not have."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
