"""Output files of a run that adds a head to a detector."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from s3fd.network import S3FD
from s3fd.weights.atomic import write_atomically
from s3fd.weights.digest import sha256
from s3fd.weights.network_file import backbone_of, save_network
from s3fd.weights.onnx_export import export_onnx

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def write_result(network: S3FD, weights: Path, folder: Path, report: DataclassInstance) -> None:
    """Write ``weights.safetensors``, the same network as ``model.onnx``, and ``report.json`` to `folder`.

    `weights` is the file that the run started from. Raises OSError if a file cannot be written.
    """
    saved = folder / "weights.safetensors"
    save_network(network, backbone_of(weights), saved)
    export_onnx(network, folder / "model.onnx", {"weights_sha256": sha256(saved)})
    write_atomically(folder / "report.json", json.dumps(asdict(report), indent=2).encode())
