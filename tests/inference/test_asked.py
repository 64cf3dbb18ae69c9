"""Engines tell what they are asked for, whatever else the model could tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3fd.inference.runtime import open_runtime
from s3fd.network import build
from s3fd.network.attributes import Attribute
from s3fd.network.embedding import Embedding
from s3fd.weights.network_file import save_network
from s3fd.weights.onnx_export import export_onnx

ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network that tells an attribute and has an embedding, as weights and as a model."""
    torch.manual_seed(0)
    network = build("slim", attributes=[Attribute("gender", ("a", "b"), "branch", (2, 3, 4, 5), 1)])
    network.embed(Embedding(dimension=8, layers=(2, 3), width=16, depth=1))
    folder = tmp_path_factory.mktemp("files")
    save_network(network.eval(), "slim", folder / "all.safetensors")
    export_onnx(network, folder / "all.onnx")
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_every_choice_is_answered_as_all_of_it(engine: str, files: Path) -> None:
    pytest.importorskip(ENGINES[engine])
    runtime = open_runtime(
        files / ("all.safetensors" if engine == "torch" else "all.onnx"), engine=engine, threads=1
    )
    pictures = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), dtype=np.uint8)
    whole = runtime(pictures, ["gender"], embedding=True)
    for attributes in ([], ["gender"]):
        for embedding in (False, True):
            told = runtime(pictures, attributes, embedding=embedding)
            np.testing.assert_allclose(told.scores, whole.scores, atol=1e-4)
            np.testing.assert_allclose(told.boxes, whole.boxes, atol=1e-2)
            assert list(told.attributes) == attributes
            for name in attributes:
                np.testing.assert_allclose(told.attributes[name], whole.attributes[name], atol=1e-4)
            assert (told.embedding is not None) == embedding
            if embedding:
                np.testing.assert_allclose(told.embedding, whole.embedding, atol=1e-3)
