from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from s3fd.inference.runtime import OnnxRuntime, open_runtime


def test_a_batch_gives_scores_and_boxes(tiny: Path) -> None:
    pictures = np.zeros((2, 32, 48, 3), np.uint8)
    pictures[1, 16:32, 32:48] = 255
    scores, boxes, _ = open_runtime(tiny, threads=1)(pictures)
    assert scores.shape == (2, 6)
    assert boxes.shape == (2, 6, 4)
    assert scores.dtype == boxes.dtype == np.float32
    assert scores.sum() == scores[1, 5] == 1
    assert boxes[1, 5].tolist() == [32, 16, 48, 32]


def test_a_picture_need_not_be_contiguous(tiny: Path) -> None:
    pictures = np.zeros((1, 32, 64, 3), np.uint8)[:, :, ::2]
    assert OnnxRuntime(tiny)(pictures)[0].shape == (1, 4)


def test_unknown_weights_are_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no bundled model is called nonsense"):
        open_runtime("nonsense")
    with pytest.raises(ValueError, match=r"\.onnx file or the name"):
        open_runtime(tmp_path / "weights.pth")
    with pytest.raises(FileNotFoundError):
        open_runtime(tmp_path / "missing.onnx")


@pytest.mark.parametrize("content", [b"", b"no model at all"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a model"):
        OnnxRuntime(path)


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["": 17]> other (float[n] x) => (float[n] y) { y = Relu(x) }'
    path = tmp_path / "other.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    with pytest.raises(ValueError, match="not a face detector"):
        OnnxRuntime(path)
