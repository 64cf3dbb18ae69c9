import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from s3fd.boxes import iou
from s3fd.inference.detector import Detector
from s3fd.inference.openvino_runtime import OpenVinoRuntime
from s3fd.inference.runtime import BUNDLED
from s3fd.weights.openvino_export import read_onnx, save_openvino
from s3fd.weights.quantise import after_convolutions, calibration_pictures, other_vectors, quantise

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def model() -> Any:
    return read_onnx(BUNDLED / "slim.onnx")


@pytest.fixture(scope="module")
def quantised(model: Any) -> Any:
    pixels = cv2.resize(cv2.imread(str(EXAMPLE)), (320, 320))
    return quantise(model, [pixels, pixels[:256]])


def test_the_vectors_of_a_quantised_model_are_not_those_of_before() -> None:
    before = {"dimension": 8, "layers": [2, 3], "digest": "ab" * 32}
    after = json.loads(other_vectors(json.dumps(before)))
    assert after.pop("digest") != before.pop("digest") and after == before
    assert other_vectors(json.dumps({"digest": "a"})) == other_vectors(json.dumps({"digest": "a"}))


def test_what_nncf_logs_is_silenced_and_nothing_else(
    model: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logger, handler = logging.getLogger("nncf"), logging.StreamHandler()
    monkeypatch.setattr(logger, "handlers", [handler])  # the program's own, which serves other loggers, too
    before = logger.level
    quantise(model, [np.zeros((64, 64, 3), np.uint8)])
    assert "nncf" not in capfd.readouterr().err
    assert (logger.level, handler.level) == (before, logging.NOTSET)


def test_a_quantised_model_finds_the_same_face(quantised: Any, tmp_path: Path) -> None:
    save_openvino(quantised, tmp_path / "int8.xml")
    assert (tmp_path / "int8.bin").stat().st_size < 0.5 * (BUNDLED / "slim.onnx").stat().st_size
    exact = Detector(OpenVinoRuntime(BUNDLED / "slim.onnx", 1), size=320)
    found = Detector(OpenVinoRuntime(tmp_path / "int8.xml", 1), size=320)
    faces, expected = found(EXAMPLE), exact(EXAMPLE)
    assert len(faces) == len(expected) == 1
    assert iou(faces.boxes, expected.boxes)[0, 0] > 0.9
    picture = cv2.resize(cv2.imread(str(EXAMPLE)), (256, 384))[None]
    mine, theirs = found.runtime(picture).scores[0], exact.runtime(picture).scores[0]
    assert np.abs(mine - theirs).max() > 0
    assert np.corrcoef(mine, theirs)[0, 1] > 0.95
    assert found.runtime(picture[:, :300, :200]).scores.shape == (1, len(mine))  # padded to 384 × 256


def test_convolutions_are_quantised_and_box_decoding_is_not(model: Any, quantised: Any) -> None:
    decoding = after_convolutions(model)
    inputs: dict[str, set[str]] = {}
    for node in quantised.get_ops():
        sources = (node.input_value(i).get_node().get_type_name() for i in range(node.get_input_size()))
        inputs[node.get_friendly_name()] = set(sources)
    assert not [name for name in decoding if "FakeQuantize" in inputs[name]]
    convolutions = [op for op in quantised.get_ops() if "Convolution" in op.get_type_name()]
    assert len(convolutions) > 50
    assert all("FakeQuantize" in inputs[op.get_friendly_name()] for op in convolutions)


def test_decoding_holds_the_exponential_and_no_convolution(model: Any) -> None:
    names = set(after_convolutions(model))
    kinds = {op.get_type_name() for op in model.get_ops() if op.get_friendly_name() in names}
    assert {"Exp", "Sigmoid", "Concat"} <= kinds
    assert not {"Convolution", "GroupConvolution"} & kinds


def test_calibration_pictures_are_spread_over_the_folder_at_vga_size(tmp_path: Path) -> None:
    for i in range(10):
        Image.new("RGB", (100, 50), (i, i, i)).save(tmp_path / f"{i}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    read, unread = calibration_pictures(tmp_path, most=5)
    assert [int(pixels[0, 0, 0]) for pixels in read] == [0, 2, 6, 8]
    assert {pixels.shape for pixels in read} == {(320, 640, 3)}
    assert len(unread) == 1
    assert "4.png" in unread[0]
    assert len(calibration_pictures(tmp_path)[0]) == 9


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contains no picture"):
        calibration_pictures(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        calibration_pictures(tmp_path / "missing")
