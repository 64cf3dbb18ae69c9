"""The command as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from s3fd.boxes import iou
from s3fd.inference.runtime import BUNDLED, open_runtime

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


def test_trained_weights_become_the_same_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    shutil.copy(BUNDLED / "slim.safetensors", tmp_path / "weights.safetensors")
    answer = s3fd("export", "openvino", "weights.safetensors", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, "weights.xml\n"), answer.stderr
    picture = cv2.resize(cv2.imread(str(EXAMPLE)), (160, 160))[None]
    scores, boxes, *_ = open_runtime(tmp_path / "weights.xml", 1)(picture)
    expected = open_runtime("slim", engine="torch", device="cpu")(picture)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(boxes, expected.boxes, atol=0.01)


def test_an_onnx_model_in_sixteen_bits(tmp_path: Path) -> None:
    shutil.copy(BUNDLED / "slim.onnx", tmp_path / "model.onnx")
    answer = s3fd("export", "openvino", "model.onnx", "--fp16", "--out", "half.xml", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, "half.xml\n"), answer.stderr
    assert (tmp_path / "half.bin").stat().st_size < 0.5 * (tmp_path / "model.onnx").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slim", "--int8"], "must be used together"),
        (["slim", "--int8", "--calibration", "missing"], "no such folder"),
        (["missing.onnx"], "no such model"),
        (["slim", "--out", "slim.onnx"], "must be an .xml file"),
        (
            ["slim", "--out", "missing/slim.xml"],
            "--out: missing/slim.xml must be a file in an existing folder",
        ),
        (["slim", "--int8", "--calibration", "missing", "--out", "slim.onnx"], "an .xml file"),  # first
        (["slim", "--int8", "--calibration", "missing", "--out", "missing/a.xml"], "--out"),
    ],
)
def test_wrong_calls(tmp_path: Path, arguments: list[str], message: str) -> None:
    answer = s3fd("export", "openvino", *arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []
