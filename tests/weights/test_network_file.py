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
    with pytest.raises(
        WeightsError, match=r"model\.onnx is an exported model: use the weights .*safetensors"
    ):
        load_network(tmp_path / "model.onnx")


def test_weights_of_another_shape_are_named_in_a_line(tmp_path: Path) -> None:
    network = build("slim")
    network.heads.conf[0] = torch.nn.Conv2d(64, 9, 3)
    del network.backbone.smooth[5]
    network.extra = torch.nn.Linear(2, 2)
    save_network(network, "slim", tmp_path / "a.safetensors")
    with pytest.raises(
        WeightsError, match=r"a\.safetensors does not match its network: \S+ is missing, and \d+ more"
    ) as told:
        load_network(tmp_path / "a.safetensors")
    assert "another version" in str(told.value) and len(str(told.value)) < 300


def test_the_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    unknown, other = build("slim"), build("slim")
    unknown.register_buffer("extra", torch.zeros(2))
    other.heads.conf[0].bias = torch.nn.Parameter(torch.zeros(9))
    for network, what in (
        (unknown, "extra is unknown;"),
        (other, r"heads\.conf\.0\.bias has a different shape;"),
    ):
        save_network(network, "slim", tmp_path / "b.safetensors")
        with pytest.raises(WeightsError, match=what):
            load_network(tmp_path / "b.safetensors")
