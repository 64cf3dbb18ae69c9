import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest
from exported import CLASSES, Exported

from s3fd.boxes import iou
from s3fd.inference import openvino_runtime
from s3fd.inference.detector import Detector
from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.inference.openvino_core import core
from s3fd.inference.openvino_runtime import OpenVinoRuntime
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import BUNDLED, AnchorOutputs, EngineError, Runtime
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.weights.network_file import load_network
from s3fd.weights.openvino_export import read_onnx, save_openvino

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
NAMES = ("mask", "gender", "hat")
SHAPES = [(1, 240, 320), (3, 100, 333), (2, 1, 1), (1, 33, 130), (4, 64, 64), (1, 240, 320)]
BF16 = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def runtimes(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runtime]:
    """One network with three attributes, in every engine and from every kind of file."""
    folder = tmp_path_factory.mktemp("model")
    save_openvino(read_onnx(exported.model), folder / "model.xml")
    return {
        "onnx": OnnxRuntime(exported.model, threads=1),
        "torch": TorchRuntime(load_network(exported.weights)),
        "openvino": OpenVinoRuntime(exported.model, threads=1),
        "openvino, .xml": OpenVinoRuntime(folder / "model.xml", threads=1),
    }


def pictures(count: int, height: int, width: int) -> Pixels:
    """The example at a size, every other one mirrored."""
    picture = cv2.resize(cv2.imread(str(EXAMPLE)), (width, height))
    return np.stack([picture[:, :: (-1) ** i] for i in range(count)])


def assert_same(found: AnchorOutputs, expected: AnchorOutputs) -> None:
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2, rtol=1e-4)
    assert list(found.attributes) == list(expected.attributes)
    for name, probabilities in expected.attributes.items():
        np.testing.assert_allclose(found.attributes[name], probabilities, atol=1e-4)


@pytest.mark.parametrize("other", ["torch", "openvino", "openvino, .xml"])
def test_engines_agree_on_every_size_and_batch(runtimes: dict[str, Runtime], other: str) -> None:
    for shape in SHAPES:
        expected = runtimes["onnx"](pictures(*shape), NAMES)
        assert shape != SHAPES[0] or expected.scores.max() > 0.5
        assert_same(runtimes[other](pictures(*shape), NAMES), expected)


def test_classes_are_those_of_the_model(runtimes: dict[str, Runtime]) -> None:
    assert all(runtime.classes == CLASSES for runtime in runtimes.values())
    assert OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1).classes == {"gender": ("female", "male")}


def test_only_attributes_that_are_asked_for_are_told(runtimes: dict[str, Runtime]) -> None:
    assert runtimes["openvino"](pictures(1, 40, 40)).attributes == {}
    assert list(runtimes["openvino"](pictures(1, 40, 40), ["mask"]).attributes) == ["mask"]


def test_answers_outlive_the_next_picture(runtimes: dict[str, Runtime]) -> None:
    first = runtimes["openvino"](pictures(1, 40, 40))
    before = first.scores.copy()
    runtimes["openvino"](pictures(1, 40, 40)[::-1] // 2)
    np.testing.assert_array_equal(first.scores, before)


def test_threads_may_share_it(runtimes: dict[str, Runtime]) -> None:
    batches = [pictures(1, 32 + i % 3, 40) for i in range(12)]
    expected = [runtimes["openvino"](batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(runtimes["openvino"], batches), expected, strict=True):
            assert_same(found, alone)


BOTH_AT_ONCE = """
import sys
import threading

import numpy as np

sys.setswitchinterval(1e-6)  # so that both meet in what OpenVINO prepares

from s3fd.inference.runtime import open_runtime

runtime = open_runtime("slim", 2, engine="openvino", streams=2)
start = threading.Barrier(2)

def look() -> None:
    start.wait()
    runtime(np.zeros((1, 64, 64, 3), np.uint8))

threads = [threading.Thread(target=look) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_pictures_of_a_process_may_come_in_two_threads() -> None:
    """Most such processes hung for ever where OpenVINO was not prepared before."""
    for _ in range(4):
        subprocess.run([sys.executable, "-c", BOTH_AT_ONCE], check=True, timeout=60)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The input's shape and the number of outputs of every model that is compiled from now on."""
    compile_model, models = openvino.Core.compile_model, []

    def noted(core: openvino.Core, model: openvino.Model, *arguments: object) -> object:
        models.append((str(model.input(0).partial_shape), len(model.outputs)))
        return compile_model(core, model, *arguments)

    monkeypatch.setattr(openvino.Core, "compile_model", noted)
    return models


def test_a_recurrent_shape_gets_a_model_of_its_own(
    runtimes: dict[str, Runtime], compiled: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "RECURRENT", 2)
    runtime = OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1)
    expected = OnnxRuntime(BUNDLED / "slim.onnx", threads=1)(pictures(1, 40, 50))
    for _ in range(5):
        assert_same(runtime(pictures(1, 40, 50)), expected)
    assert compiled == [("[?,?,?,3]", 2), ("[1,40,50,3]", 2)]
    told = runtime(pictures(1, 40, 50), ["gender"])
    assert_same(told, expected._replace(attributes=told.attributes))
    assert compiled[2:] == [("[?,?,?,3]", 3)]


def test_few_models_of_one_shape_are_kept_and_none_of_a_large_one(
    tiny: Path, compiled: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "RECURRENT", 1)
    monkeypatch.setattr(openvino_runtime, "FIXED", 2)
    monkeypatch.setattr(openvino_runtime, "FIXED_PIXELS", 64 * 64)
    runtime = OpenVinoRuntime(tiny, threads=1)

    def look(width: int) -> int:
        """Pictures of this width, three times; how many models that took."""
        before = len(compiled)
        for _ in range(3):
            assert runtime(np.full((1, 32, width, 3), 255, np.uint8)).scores.max() == 1
        return len(compiled) - before

    assert [look(width) for width in (32, 48, 32, 64, 32, 48)] == [1, 1, 0, 1, 0, 1]
    assert look(160) == 0


def test_shapes_that_come_once_are_forgotten(
    tiny: Path, compiled: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "RECURRENT", 1)
    monkeypatch.setattr(openvino_runtime, "REMEMBERED", 3)
    runtime = OpenVinoRuntime(tiny, threads=1)
    for width in (*range(16, 26), *range(16, 26)):
        runtime(np.zeros((1, 32, width, 3), np.uint8))
    assert len(compiled) == 1


@pytest.mark.skipif(not BF16, reason="a processor without bf16")
def test_bf16_is_near_and_not_the_same() -> None:
    exact = OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1)(pictures(1, 128, 256))
    found = OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1, precision="bf16")(pictures(1, 128, 256))
    assert 1e-4 < np.abs(found.scores - exact.scores).max() < 0.1


@pytest.mark.skipif(not BF16, reason="a processor without bf16")
def test_pictures_of_many_shapes_come_down_to_few_in_bf16(
    compiled: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "RECURRENT", 3)
    runtime = OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1, precision="bf16")
    for height in (130, 200, 211, 255):
        runtime(pictures(1, height, 320))
    assert compiled == [("[?,?,?,3]", 2), ("[1,256,384,3]", 2)]


@pytest.mark.skipif(not BF16, reason="a processor without bf16")
@pytest.mark.parametrize("shape", [(300, 400), (512, 320), (160, 200)])
def test_padding_moves_no_face(shape: tuple[int, int]) -> None:
    exact = Detector(OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1), "original", attributes=("gender",))
    padded = replace(exact, runtime=OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1, precision="bf16"))
    expected, found = (
        detector.find_probabilities(detector.prepare(pictures(1, *shape)[0])) for detector in (exact, padded)
    )
    assert len(found) == len(expected) == 1
    assert iou(found.boxes, expected.boxes)[0, 0] > 0.9
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.05)
    np.testing.assert_allclose(found.attributes["gender"], expected.attributes["gender"], atol=0.05)


def test_bf16_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino.Core, "get_property", lambda *arguments: ["FP32", "INT8"])
    with pytest.raises(EngineError, match="does not support bf16"):
        OpenVinoRuntime(BUNDLED / "slim.onnx", precision="bf16")


def test_a_model_without_its_weights_is_refused(tmp_path: Path) -> None:
    save_openvino(read_onnx(BUNDLED / "slim.onnx"), tmp_path / "slim.xml")
    (tmp_path / "slim.bin").unlink()
    with pytest.raises(ValueError, match="not a model that OpenVINO can open"):
        OpenVinoRuntime(tmp_path / "slim.xml")
