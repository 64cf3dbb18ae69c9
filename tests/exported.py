"""One export of a network for all tests: it takes far longer than what they do with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest


class Exported(NamedTuple):
    """A network in two files.

    Attributes:
        weights: for PyTorch.
        model: in ONNX.
    """

    weights: Path
    model: Path


CLASSES = {"gender": ("female", "male"), "mask": ("bare", "mask", "incorrect"), "hat": ("none", "hat")}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The bundled detector with an untrained attribute of each kind, those of `CLASSES`, and an embedding.

    Tests that run in several processes share it.
    """
    torch = pytest.importorskip("torch")  # which brings filelock
    from filelock import FileLock

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "exported"
    folder.mkdir(exist_ok=True)
    files = Exported(folder / "all.safetensors", folder / "all.onnx")
    with FileLock(folder / "lock"):
        if not files.model.exists():  # it comes last, and whole
            torch.manual_seed(0)
            _export(files)
    return files


def _export(files: Exported) -> None:
    from s3fd.inference.runtime import BUNDLED
    from s3fd.network.attributes import Attribute
    from s3fd.network.embedding import Embedding
    from s3fd.weights.network_file import load_network, save_network
    from s3fd.weights.onnx_export import export_onnx

    network = load_network(BUNDLED / "slim.safetensors")
    network.add(Attribute("gender", CLASSES["gender"], temperature=0.02))
    network.add(Attribute("mask", CLASSES["mask"], kind="tower", layers=(1, 2, 3, 4, 5)))
    network.add(Attribute("hat", CLASSES["hat"], "branch", (2, 3, 4, 5), 1))
    network.embed(Embedding(dimension=8, layers=(2, 3), width=16, depth=1))
    save_network(network.eval(), "slim", files.weights)
    export_onnx(network, files.model)
