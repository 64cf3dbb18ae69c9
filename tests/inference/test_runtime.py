from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import s3fd
from s3fd.inference.runtime import ENGINES, EngineError, open_runtime, processors, share


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_batch_gives_scores_and_boxes(tiny: Path, engine: str) -> None:
    pictures = np.zeros((2, 32, 48, 3), np.uint8)
    pictures[1, 16:32, 32:48] = 255
    scores, boxes, *_ = open_runtime(tiny, threads=1, engine=engine)(pictures)
    assert scores.shape == (2, 6)
    assert boxes.shape == (2, 6, 4)
    assert scores.dtype == boxes.dtype == np.float32
    assert scores.sum() == scores[1, 5] == 1
    assert boxes[1, 5].tolist() == [32, 16, 48, 32]


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_picture_need_not_be_contiguous(tiny: Path, engine: str) -> None:
    pictures = np.zeros((1, 32, 64, 3), np.uint8)[:, :, ::2]
    assert open_runtime(tiny, engine=engine)(pictures)[0].shape == (1, 4)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_streams_run_at_the_same_time_and_give_the_same(tiny: Path, engine: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (1, 32, 16 * i, 3), np.uint8) for i in range(1, 9)] * 4
    runtime = open_runtime(tiny, threads=2, engine=engine, streams=2)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda picture: runtime(picture).scores, pictures))
    for picture, scores in zip(pictures, found, strict=True):
        np.testing.assert_allclose(scores, runtime(picture).scores, atol=1e-6)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_faces_are_the_same_whether_attributes_are_told_or_not(engine: str) -> None:
    runtime = open_runtime("slim", threads=2, engine=engine)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 80, 3), np.uint8)
    faces = runtime(pictures)
    with ThreadPoolExecutor(2) as pool:  # both ask first for what has not been opened yet
        for told in pool.map(lambda _: runtime(pictures, ["gender"]), range(2)):
            np.testing.assert_allclose(told.scores, faces.scores, atol=1e-6)
            np.testing.assert_allclose(told.boxes, faces.boxes, atol=1e-3)
            np.testing.assert_allclose(told.attributes["gender"].sum(axis=2), 1, atol=1e-6)
    assert not runtime(pictures).attributes


def test_streams_share_the_threads() -> None:
    assert [share(4, 1), share(4, 2), share(5, 2), share(2, 4)] == [4, 2, 2, 1]
    assert share(None, 1) == processors()


def test_no_streams_are_refused(tiny: Path) -> None:
    with pytest.raises(ValueError, match="stream"):
        open_runtime(tiny, streams=0)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(tiny: Path, threads: int) -> None:
    with pytest.raises(ValueError, match="thread"):
        open_runtime(tiny, threads)


def test_unknown_weights_are_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no bundled model is called nonsense"):
        open_runtime("nonsense")
    with pytest.raises(ValueError, match=r"\.safetensors file or the name"):
        open_runtime(tmp_path / "weights.pth")
    for suffix in (".onnx", ".xml", ".safetensors"):
        with pytest.raises(FileNotFoundError, match="no such model"):
            open_runtime(tmp_path / f"missing{suffix}")


@pytest.mark.parametrize(
    ("engine", "suffix", "kinds"),
    [
        ("torch", ".onnx", ".safetensors"),
        ("onnx", ".xml", ".onnx"),
        ("openvino", ".safetensors", ".xml or .onnx"),
    ],
)
def test_an_engine_refuses_the_files_of_another(engine: str, suffix: str, kinds: str) -> None:
    with pytest.raises(ValueError, match=rf"model{suffix}: the engine {engine} only opens {kinds} files"):
        open_runtime(f"model{suffix}", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_opens_a_bundled_model_and_finds_the_same(engine: str) -> None:
    detector = s3fd.load("slim", engine=engine, device="cpu", size=320)
    assert (detector.runtime.engine, detector.runtime.device) == (engine, "cpu")
    example = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
    expected = s3fd.load("slim", device="cpu", size=320)(example)
    faces = detector(example)
    assert len(faces) == len(expected) == 1
    np.testing.assert_allclose(faces.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(faces.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, "unknown engine 'tensorrt': choose one of onnx, openvino, torch"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"engine": "onnx", "precision": "bf16"}, "the engine onnx does not support bf16"),
        ({"engine": "openvino", "device": "cuda"}, "the engine openvino does not support CUDA"),
    ],
)
def test_what_no_engine_has_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        open_runtime("slim", **options)


def test_cuda_is_refused_where_there_is_none_and_auto_takes_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for engine, message in (
        ("onnx", "this build of ONNX Runtime has no CUDA"),
        ("torch", "PyTorch cannot find a CUDA device"),
    ):
        with pytest.raises(EngineError, match=message):
            open_runtime("slim", engine=engine, device="cuda")
        assert open_runtime("slim", engine=engine, device="auto").device == "cpu"


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
def test_cuda_that_does_not_start_is_no_silent_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    with pytest.raises(EngineError, match="cannot start CUDA"):
        open_runtime("slim", device="cuda")
    assert open_runtime("slim", device="auto").device == "cpu"


@pytest.mark.parametrize(("engine", "extra"), [("openvino", "openvino"), ("torch", "train")])
def test_an_engine_that_is_not_installed(engine: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    monkeypatch.delitem(sys.modules, f"s3fd.inference.{engine}_runtime", raising=False)
    with pytest.raises(EngineError, match=rf"{engine} is not installed; .* 's3fd\[{extra}\]'"):
        open_runtime("slim", engine=engine)


@pytest.mark.parametrize("content", [b"", b"no model at all"])
@pytest.mark.parametrize(
    ("engine", "suffix"), [("onnx", ".onnx"), ("openvino", ".onnx"), ("openvino", ".xml")]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, engine: str, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a model that"):
        open_runtime(path, engine=engine)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_model_of_something_else_is_refused(tmp_path: Path, engine: str) -> None:
    onnx = pytest.importorskip("onnx")
    text = '<ir_version: 8, opset_import: ["": 17]> other (float[n] x) => (float[n] y) { y = Relu(x) }'
    path = tmp_path / "other.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    with pytest.raises(ValueError, match="not a face detector"):
        open_runtime(path, engine=engine)
