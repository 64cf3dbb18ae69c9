"""Models in OpenVINO's own format, which load faster than ONNX and can hold quantised weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import openvino

from s3fd.inference.openvino_core import core


def read_onnx(path: Path) -> Any:
    """Read an ONNX model, with its metadata, as an `openvino.Model`.

    `openvino.Core` reads the same models as `openvino.convert_model`, but sends no telemetry.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not an ONNX model.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model")
    try:
        return core().read_model(path)
    except RuntimeError as error:
        raise ValueError(f"{path}: not a model that OpenVINO can read") from error


def check_name(path: Path) -> None:
    """Raise ValueError if a model cannot be written to `path`, because it does not end in ``.xml``."""
    if path.suffix != ".xml":
        raise ValueError(
            f"{path}: an OpenVINO model must be an .xml file; its weights go in a .bin file next to it"
        )


def save_openvino(model: Any, path: Path, fp16: bool = False) -> None:
    """Write an `openvino.Model` to `path`, an ``.xml`` file, and its weights next to it in a ``.bin`` file.

    With `fp16`, the weights are stored as 16-bit floats, in half the space, and widened when the model is
    loaded. Each file appears complete or not at all; the ``.xml`` file is written last.

    Raises:
        OSError: the files cannot be written.
        ValueError: `path` does not end in ``.xml``.
    """
    check_name(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".openvino-") as folder:
        whole = Path(folder) / path.name
        try:
            openvino.save_model(model, whole, compress_to_fp16=fp16)
        except RuntimeError as error:  # it does not say why
            raise OSError(f"cannot write {path} and its weights: is the disk full?") from error
        for suffix in (".bin", ".xml"):
            whole.with_suffix(suffix).replace(path.with_suffix(suffix))
