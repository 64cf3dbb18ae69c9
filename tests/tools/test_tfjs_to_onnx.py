"""A converted model computes what the TensorFlow.js model says."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from scripts import load_script

SIDE = 12


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "tools" / "tfjs_to_onnx.py")


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def node(op: str, name: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "input": list(inputs), "attr": attributes}


def convolution(op: str, name: str, *inputs: str, stride: int) -> dict[str, Any]:
    strides = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    return node(op, name, *inputs, strides=strides, padding={"s": text("SAME")})


def write_model(
    folder: Path, extra: list[dict[str, Any]] | None = None
) -> tuple[Path, dict[str, np.ndarray]]:
    """A network of every kind of layer the tool knows, with weights of half precision."""
    rng = np.random.default_rng(0)
    shapes = {
        "k": (3, 3, 3, 4),
        "b": (4,),
        "six": (),
        "d": (3, 3, 4, 1),
        "axes": (2,),
        "w": (4, 5),
        "c": (5,),
    }
    weights = {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    weights["six"] = np.array(6, np.float16)
    half = {"dtype": "float16", "original_dtype": "float32"}
    entries = [
        {"name": name, "shape": list(shape), "dtype": "float32", "quantization": half}
        for name, shape in shapes.items()
    ]
    (folder / "model.bin").write_bytes(b"".join(value.tobytes() for value in weights.values()))
    nodes = [
        node("Placeholder", "x"),
        *(node("Const", name) for name in shapes),
        convolution("Conv2D", "conv", "x", "k", stride=2),
        node("Add", "sum", "conv", "b"),
        node("Relu", "relu", "sum"),
        node("Minimum", "capped", "relu", "six"),
        convolution("DepthwiseConv2dNative", "depthwise", "capped", "d", stride=1),
        node("Mean", "mean", "depthwise", "axes"),
        node("_FusedMatMul", "dense", "mean", "w", "c", fused_ops={"list": {"s": [text("BiasAdd")]}}),
        node("Sigmoid", "out", "dense"),
        *(extra or []),
    ]
    shape = [{"size": str(n)} for n in (-1, SIDE, SIDE, 3)]
    content = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["model.bin"], "weights": entries}],
        "signature": {
            "inputs": {"x": {"tensorShape": {"dim": shape}}},
            "outputs": {"out:0": {"tensorShape": {"dim": [{"size": "1"}, {"size": "5"}]}}},
        },
    }
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "model.json", weights


def reference(pictures: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """The same in PyTorch, where TensorFlow's padding of an even side at stride 2 is one row below."""
    w = {name: torch.from_numpy(value.astype(np.float32)) for name, value in weights.items()}
    x = F.pad(torch.from_numpy(pictures).permute(0, 3, 1, 2), (0, 1, 0, 1))
    x = F.conv2d(x, w["k"].permute(3, 2, 0, 1), w["b"], stride=2).relu().clamp(max=6)
    x = F.conv2d(x, w["d"].permute(2, 3, 0, 1), padding=1, groups=4).mean((2, 3))
    return (x @ w["w"] + w["c"]).sigmoid().numpy()


def test_the_converted_model_says_the_same(tool: ModuleType, tmp_path: Path) -> None:
    model, weights = write_model(tmp_path)
    session = ort.InferenceSession(tool.convert(model).SerializeToString())
    pictures = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    (said,) = session.run(["out"], {"pictures": pictures})
    np.testing.assert_allclose(said, reference(pictures, weights), atol=1e-5)


def test_what_it_does_not_know_stops_it(tool: ModuleType, tmp_path: Path) -> None:
    model, _ = write_model(tmp_path, [node("Erf", "odd", "out")])
    with pytest.raises(ValueError, match="odd: an operation Erf is not known"):
        tool.convert(model)
    (tmp_path / "model.bin").write_bytes((tmp_path / "model.bin").read_bytes() + b"more")
    with pytest.raises(ValueError, match="bytes of weights"):
        tool.convert(model)
