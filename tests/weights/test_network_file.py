"""Weights files."""

from pathlib import Path

import pytest
import torch

from s3fd.network import build
from s3fd.weights.network_file import WeightsError, load_network, save_network


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    network = build("slim")
    note = {f"note {i}": "ä" * i for i in range(10)}
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for path in files:
        save_network(network, "slim", path, note)
    assert len({path.read_bytes() for path in files}) == 1
    pairs = zip(network.state_dict().values(), load_network(files[0]).state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_model_to_run_is_told_from_weights(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a" * 9)
    with pytest.raises(WeightsError, match=r"model\.onnx is a model to run: give the weights .*safetensors"):
        load_network(tmp_path / "model.onnx")
