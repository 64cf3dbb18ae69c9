"""The command as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s3fd.boxes import iou

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def s3fd(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s3fd", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, encoding="utf-8", timeout=600)


def test_an_openvino_model_in_eight_bits(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    answer = s3fd("export", "openvino", "slim", "--int8", "--calibration", "photos", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "slim.int8.xml\n"
    assert "broken.jpg" in answer.stderr
    found = s3fd("detect", EXAMPLE, "--weights", "slim.int8.xml", cwd=tmp_path)
    (face,) = json.loads(found.stdout)["faces"]
    expected = np.array([[179.9, 62.0, 269.6, 177.3]], np.float32)  # as in the README
    assert iou(np.array([face["box"]], np.float32), expected)[0, 0] > 0.9


def test_trained_weights_become_the_same_model_as_by_way_of_onnx(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from s3fd.inference.openvino_runtime import OpenVinoRuntime
    from s3fd.network import build
    from s3fd.weights.network_file import save_network

    torch.manual_seed(0)
    save_network(build("slim"), "slim", tmp_path / "weights.safetensors")
    assert s3fd("export", "onnx", "weights.safetensors", cwd=tmp_path).stdout == "weights.onnx\n"
    assert s3fd("export", "openvino", "weights.safetensors", cwd=tmp_path).stdout == "weights.xml\n"
    answer = s3fd("export", "openvino", "weights.onnx", "--out", "second.xml", "--fp16", cwd=tmp_path)
    assert answer.stdout == "second.xml\n"
    assert (tmp_path / "second.bin").stat().st_size < 0.6 * (tmp_path / "weights.bin").stat().st_size
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    names = ("weights.onnx", "weights.xml", "second.xml")
    first, *others = (OpenVinoRuntime(tmp_path / name, 1)(picture).scores for name in names)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slim", "--int8"], "go together"),
        (["slim", "--int8", "--calibration", "missing"], "no such folder"),
        (["missing.onnx"], "no such model"),
        (["slim", "--out", "slim.onnx"], "are .xml files"),
    ],
)
def test_wrong_calls(tmp_path: Path, arguments: list[str], message: str) -> None:
    answer = s3fd("export", "openvino", *arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []
