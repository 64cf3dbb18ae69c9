"""What runs the network: ONNX Runtime, or anything else that is called in the same way."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as NotSupported,
)

from s3fd.boxes import FloatArray

BUNDLED = Path(__file__).parents[1] / "weights"
"""Where the models that come with the package lie."""

OPEN_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotSupported)
"""What ONNX Runtime raises on a file it cannot open; they have no base class of their own."""

INPUT = "pictures"
OUTPUTS = ("scores", "boxes")


class AnchorOutputs(NamedTuple):
    """What the network says of every anchor of a batch of pictures, before any selection.

    Attributes:
        scores: (N, A) in 0–1.
        boxes: (N, A, 4), xyxy in pixels of the network's input.
        attributes: (N, A, classes) probabilities of each attribute's classes, by its name.
    """

    scores: FloatArray
    boxes: FloatArray
    attributes: Mapping[str, FloatArray]


class Runtime(Protocol):
    """A network that is ready to run: pictures in, scored boxes out, one a anchor."""

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """The attributes that the network tells, by name, with their classes in order."""
        ...

    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        """Run a batch of pictures (N, H, W, 3) uint8 BGR of one size, and tell these of its attributes."""
        ...


class OnnxRuntime:
    """An ONNX model in ONNX Runtime: on the GPU if the installed ONNX Runtime has CUDA, else on the CPU."""

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        """Open the model at `path` with `threads` threads: by default, one a processor this process may use.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no ONNX model, or its inputs and outputs are not those of `Runtime`.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such model")
        try:
            self._session = onnxruntime.InferenceSession(
                path, _options(threads or _processors()), providers=_providers()
            )
        except OPEN_ERRORS as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path}: not a model that ONNX Runtime can open: {reason}") from error
        inputs = {i.name for i in self._session.get_inputs()}
        if inputs != {INPUT} or not set(OUTPUTS) <= {o.name for o in self._session.get_outputs()}:
            raise ValueError(f"{path}: not a face detector: it must map `{INPUT}` to `scores` and `boxes`")
        metadata = self._session.get_modelmeta().custom_metadata_map
        told = json.loads(metadata.get("attributes", "{}"))
        self.classes: dict[str, tuple[str, ...]] = {name: tuple(classes) for name, classes in told.items()}

    @property
    def device(self) -> str:
        """What the model runs on: ``cuda`` or ``cpu``."""
        return "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        """Run a batch of pictures of one size: see `Runtime`."""
        scores, boxes, *told = self._session.run(
            [*OUTPUTS, *attributes], {INPUT: np.ascontiguousarray(pictures)}
        )
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)))


def open_runtime(weights: str | os.PathLike[str] = "slim", threads: int | None = None) -> Runtime:
    """Open a model by the name of a bundled one, or by the path of an ``.onnx`` file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown name or kind of file, or a file that is no face detector.
    """
    path = Path(weights)
    if path.suffix == ".onnx":
        return OnnxRuntime(path, threads)
    if str(weights) in bundled():
        return OnnxRuntime(BUNDLED / f"{weights}.onnx", threads)
    known = ", ".join(bundled()) or "none"
    if path.suffix:
        raise ValueError(f"{path}: weights are an .onnx file or the name of a bundled model ({known})")
    raise ValueError(f"no bundled model is called {path} (there is: {known}); an .onnx file can be given too")


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in BUNDLED.glob("*.onnx"))


def _processors() -> int:
    """How many processors this process may use, which in a container is fewer than the machine has.

    ONNX Runtime's own choice also pins its threads, and prints errors where a container forbids that.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _options(threads: int) -> Any:
    """Session options for pictures of ever different sizes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: warnings would mix with the caller's output
    options.enable_mem_pattern = False  # a pattern a picture size would be kept for ever
    return options


def _providers() -> list[Any]:
    """CUDA, where this build of ONNX Runtime has it, and the CPU.

    The heuristic search spares cuDNN's exhaustive benchmark, which would run for every new picture size.
    """
    cuda = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return [*([cuda] if has_cuda else []), "CPUExecutionProvider"]
