"""The public layout, written down a second time as a straight line and compared with the import."""

from pathlib import Path

import py7zr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from typer.testing import CliRunner

from s3fd.cli.weights import app
from s3fd.network import build
from s3fd.weights.network_file import WeightsError, load_network
from s3fd.weights.public import import_public

CONVOLUTIONS = {
    "conv1_1": (3, 64, 3),
    "conv1_2": (64, 64, 3),
    "conv2_1": (64, 128, 3),
    "conv2_2": (128, 128, 3),
    "conv3_1": (128, 256, 3),
    "conv3_2": (256, 256, 3),
    "conv3_3": (256, 256, 3),
    "conv4_1": (256, 512, 3),
    "conv4_2": (512, 512, 3),
    "conv4_3": (512, 512, 3),
    "conv5_1": (512, 512, 3),
    "conv5_2": (512, 512, 3),
    "conv5_3": (512, 512, 3),
    "fc6": (512, 1024, 3),
    "fc7": (1024, 1024, 1),
    "conv6_1": (1024, 256, 1),
    "conv6_2": (256, 512, 3),
    "conv7_1": (512, 128, 1),
    "conv7_2": (128, 256, 3),
    "conv3_3_norm_mbox_conf": (256, 4, 3),
    "conv3_3_norm_mbox_loc": (256, 4, 3),
    "conv4_3_norm_mbox_conf": (512, 2, 3),
    "conv4_3_norm_mbox_loc": (512, 4, 3),
    "conv5_3_norm_mbox_conf": (512, 2, 3),
    "conv5_3_norm_mbox_loc": (512, 4, 3),
    "fc7_mbox_conf": (1024, 2, 3),
    "fc7_mbox_loc": (1024, 4, 3),
    "conv6_2_mbox_conf": (512, 2, 3),
    "conv6_2_mbox_loc": (512, 4, 3),
    "conv7_2_mbox_conf": (256, 2, 3),
    "conv7_2_mbox_loc": (256, 4, 3),
}
NORMS = {"conv3_3_norm": 256, "conv4_3_norm": 512, "conv5_3_norm": 512}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A state dict in the public layout; the scale of the weights keeps activations alive to the end."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, (inputs, outputs, kernel) in CONVOLUTIONS.items():
        scale = (2 / (inputs * kernel**2)) ** 0.5
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator) * scale
        tensors[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    for name, channels in NORMS.items():
        tensors[f"{name}.weight"] = torch.rand(channels, generator=generator) * 10
    return tensors


@pytest.fixture(scope="module")
def pth(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("public") / "s3fd_convert.pth"
    torch.save(state, path)
    return path


def straight_line(w: dict[str, Tensor], x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(class map, box map) of each detection layer, as the public ports compute them."""

    def conv(name: str, x: Tensor, stride: int = 1, padding: int = 1) -> Tensor:
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, padding)

    def norm(name: str, x: Tensor) -> Tensor:
        return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) * w[f"{name}.weight"].view(1, -1, 1, 1)

    x = conv("conv1_2", conv("conv1_1", x).relu()).relu()
    x = F.max_pool2d(x, 2, 2)
    x = conv("conv2_2", conv("conv2_1", x).relu()).relu()
    x = F.max_pool2d(x, 2, 2)
    f3 = x = conv("conv3_3", conv("conv3_2", conv("conv3_1", x).relu()).relu()).relu()
    x = F.max_pool2d(x, 2, 2)
    f4 = x = conv("conv4_3", conv("conv4_2", conv("conv4_1", x).relu()).relu()).relu()
    x = F.max_pool2d(x, 2, 2)
    f5 = x = conv("conv5_3", conv("conv5_2", conv("conv5_1", x).relu()).relu()).relu()
    x = F.max_pool2d(x, 2, 2)
    f7 = x = conv("fc7", conv("fc6", x, padding=3).relu(), padding=0).relu()
    f62 = x = conv("conv6_2", conv("conv6_1", x, padding=0).relu(), stride=2).relu()
    f72 = conv("conv7_2", conv("conv7_1", x, padding=0).relu(), stride=2).relu()
    layers = {
        "conv3_3_norm": norm("conv3_3_norm", f3),
        "conv4_3_norm": norm("conv4_3_norm", f4),
        "conv5_3_norm": norm("conv5_3_norm", f5),
        "fc7": f7,
        "conv6_2": f62,
        "conv7_2": f72,
    }
    maps = [(conv(f"{n}_mbox_conf", f), conv(f"{n}_mbox_loc", f)) for n, f in layers.items()]
    a, b, c, face = torch.chunk(maps[0][0], 4, 1)
    maps[0] = (torch.cat([torch.max(torch.max(a, b), c), face], 1), maps[0][1])
    return maps


@pytest.mark.parametrize("size", [(96, 128), (75, 203)])
def test_every_map_equals_the_straight_line(
    state: dict[str, Tensor], pth: Path, size: tuple[int, int]
) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)) * 60
    with torch.no_grad():
        predictions = import_public(pth)(x)
        expected = straight_line(state, x)
    assert predictions.map_sizes == [tuple(conf.shape[2:]) for conf, _ in expected]
    counts = [h * w for h, w in predictions.map_sizes]
    for (conf, loc), logits, deltas in zip(
        expected, predictions.logits.split(counts, 1), predictions.deltas.split(counts, 1), strict=True
    ):
        assert conf.std() > 1e-3  # a dead map would agree with anything
        torch.testing.assert_close(logits, conf.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(deltas, loc.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-4)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name}


def test_first_misfit_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    cases = [
        (without(without(state, "fc7.bias"), "conv2_1.weight"), "conv2_1.weight is missing"),
        ({**state, "fc6.weight": torch.zeros(1024, 512, 7, 7)}, r"fc6.weight is \(1024, 512, 7, 7\) instead"),
        ({**state, "fc_1.weight": torch.zeros(10, 2304)}, "unexpected tensor fc_1.weight"),
        ({**state, "conv1_1.bias": torch.full((64,), float("nan"))}, "conv1_1.bias contains values"),
        ({**state, "conv1_1.bias": "text"}, "conv1_1.bias is str"),
    ]
    path = tmp_path / "wrong.pth"
    for wrong, message in cases:
        torch.save(wrong, path)
        with pytest.raises(WeightsError, match=message):
            import_public(path)


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("exploited"),)


def test_code_in_a_file_is_not_run(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({**state, "conv1_1.bias": Exploit()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        import_public(tmp_path / "evil.pth")
    assert not (tmp_path / "exploited").exists()


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".pth", ".7z"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=str(path)):
        import_public(path)


def test_an_archive_without_weights_is_refused(tmp_path: Path) -> None:
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writestr("hello", "readme.txt")
    with pytest.raises(WeightsError, match=r"0 \.pth files"):
        import_public(tmp_path / "a.7z")


def test_command_writes_weights_card_and_checksum(
    pth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_path = tmp_path / "s3fd_v1.2.7z"
    copy = [{"id": py7zr.FILTER_COPY}]  # no compression: random weights only cost time
    with py7zr.SevenZipFile(archive_path, "w", filters=copy) as archive:
        archive.write(pth, "s3fd_convert.pth")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    out = tmp_path / "here" / "s3fd_v1.2.safetensors"
    result = CliRunner().invoke(app, ["import", str(archive_path)])
    assert result.exit_code == 0, result.output
    imported = load_network(out)
    direct = import_public(pth)
    for (name, a), b in zip(imported.state_dict().items(), direct.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    digest, name = out.with_suffix(".sha256").read_text().split()
    assert name == out.name
    assert digest in out.with_suffix(".md").read_text()


def test_command_names_the_tensor_and_exits_with_2(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(without(state, "conv7_2.bias"), tmp_path / "wrong.pth")
    result = CliRunner().invoke(app, ["import", str(tmp_path / "wrong.pth"), "--out", str(tmp_path / "o")])
    assert result.exit_code == 2
    assert "conv7_2.bias is missing" in result.output
    assert not (tmp_path / "o").exists()


def test_a_folder_that_is_missing_is_said_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "x.safetensors"
    result = CliRunner().invoke(app, ["import", str(tmp_path / "none.pth"), "--out", str(out)])
    assert result.exit_code == 2
    assert f"--out: {out} must be a file in an existing folder" in result.output


def test_own_weights_round_trip(tmp_path: Path) -> None:
    from s3fd.weights.network_file import save_network

    network = build("slim", backgrounds=1)
    save_network(network, "slim", tmp_path / "w.safetensors")
    loaded = load_network(tmp_path / "w.safetensors")
    assert loaded.heads.backgrounds == 1
    for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        load_network(tmp_path / "cut.safetensors")
