"""A file that lost a bit is refused: it is neither used nor the end of the program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3fd.network import build
from s3fd.training import checkpoint
from s3fd.training.checkpoint import CheckpointError
from s3fd.weights.network_file import WeightsError, load_network, save_network
from s3fd.weights.public import import_public


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    save_network(build("slim"), "slim", folder / "weights.safetensors")
    state = {"step": 3, "network": {"a": torch.arange(5000.0)}, "optimiser": {"groups": [{"lr": 0.1}]}}
    checkpoint.save(folder / "checkpoint.pt", state)
    torch.save({"conv1_1.weight": torch.ones(2000)}, folder / "public.pth")
    return folder


def damaged(path: Path, rng: np.random.Generator, out: Path) -> Path:
    """A copy with one bit turned over or, one time in four, cut short."""
    data = bytearray(path.read_bytes())
    place = int(rng.integers(len(data)))
    if rng.random() < 0.25:
        del data[place:]
    else:
        data[place] ^= 1 << int(rng.integers(8))
    out.write_bytes(data)
    return out


def test_whole_files_are_read(files: Path) -> None:
    load_network(files / "weights.safetensors")
    state = checkpoint.load(files / "checkpoint.pt")
    assert state["step"] == 3 and torch.equal(state["network"]["a"], torch.arange(5000.0))
    assert state.keys() == {"step", "network", "optimiser"}


def test_every_damaged_weights_file_is_refused(files: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        with pytest.raises(WeightsError, match=r"damaged\.safetensors"):
            load_network(damaged(files / "weights.safetensors", rng, tmp_path / "damaged.safetensors"))


def test_a_damaged_checkpoint_is_refused_or_as_good_as_whole(files: Path, tmp_path: Path) -> None:
    """A bit of a zip archive's file times, say, means nothing."""
    rng = np.random.default_rng(0)
    whole = checkpoint.load(files / "checkpoint.pt")
    refused = 0
    for _ in range(200):
        try:
            state = checkpoint.load(damaged(files / "checkpoint.pt", rng, tmp_path / "damaged.pt"))
        except CheckpointError as error:
            refused += 1
            assert "damaged.pt" in str(error)
        else:
            assert state["step"] == 3 and state["optimiser"] == whole["optimiser"]
            assert torch.equal(state["network"]["a"], whole["network"]["a"])
    assert refused > 150


def test_damaged_public_weights_are_refused(files: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        with pytest.raises(WeightsError):
            import_public(damaged(files / "public.pth", rng, tmp_path / f"damaged.{('pth', '7z')[i % 2]}"))


def test_weights_without_a_checksum_are_those_of_earlier_versions(files: Path, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(files / "weights.safetensors", framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del metadata["sha256"]
    save_file(tensors, tmp_path / "old.safetensors", metadata)
    load_network(tmp_path / "old.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "s3fd"},
        {"format": "s3fd", "backbone": "slim", "backgrounds": "many"},
        {"format": "s3fd", "backbone": "slim", "backgrounds": "3", "attributes": "[3]"},
        {"format": "s3fd", "backbone": "slim", "backgrounds": "3", "attributes": "{"},
        {"format": "s3fd", "backbone": "resnet", "backgrounds": "3"},
    ],
)
def test_weights_that_do_not_say_what_they_are_for_are_refused(
    metadata: dict[str, str], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        load_network(tmp_path / "odd.safetensors")
