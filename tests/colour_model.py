"""An embedding model small enough to know its answers by heart: the colours of 4 × 4 parts of a face."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnx.parser

SIZE = 16
"""Side of its input in pixels."""

DIMENSION = 48

TEXT = """
<ir_version: 8, opset_import: ["": 17]>
colours (float[n, 3, 16, 16] faces) => (float[n, 48] vectors)
<int64[2] flat = {0, -1}>
{
    parts = AveragePool<kernel_shape = [4, 4], strides = [4, 4]>(faces)
    vectors = Reshape(parts, flat)
}
"""


def save(path: Path, batch: int | None = None, **card: object) -> Path:
    """Write the model and its card, for any number of faces at a time or for exactly `batch`."""
    text = TEXT if batch is None else TEXT.replace("[n,", f"[{batch},")
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    path.with_suffix(".json").write_text(json.dumps({"size": SIZE, **card}))
    return path
