"""An ONNX model in ONNX Runtime, the engine that comes with the package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

from s3fd.inference.runtime import (
    EMBEDDING,
    INPUT,
    OUTPUTS,
    AnchorOutputs,
    EngineError,
    check_names,
    existing,
    parse_classes,
    parse_embedding,
    processors,
    share,
)

CUDA = "CUDAExecutionProvider"

OPEN_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotSupported)
"""What ONNX Runtime raises on a file it cannot open; they have no base class of their own."""


class OnnxRuntime:
    """A model in ONNX Runtime that answers as `s3fd.inference.runtime.Runtime`."""

    engine = "onnx"

    def __init__(
        self, path: str | os.PathLike[str], threads: int | None = None, device: str = "auto"
    ) -> None:
        """Open the model at `path`; every call runs in `threads` threads, by default one a processor.

        On `device` ``auto`` it runs on the GPU if the installed ONNX Runtime has CUDA, else on the CPU.

        Raises:
            EngineError: `device` is ``cuda``, and this ONNX Runtime has none or cannot start it.
            FileNotFoundError: there is no such file.
            ValueError: the file is no ONNX model, or its inputs and outputs are not those of `Runtime`.
        """
        path = existing(path)
        providers = _providers(device)
        try:
            self._session = onnxruntime.InferenceSession(
                path, session_options(threads or processors()), providers=providers
            )
        except OPEN_ERRORS as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path}: not a model that ONNX Runtime can open: {reason}") from error
        if device == "cuda" and self.device != "cuda":
            raise EngineError("ONNX Runtime cannot start CUDA: no GPU, or its CUDA libraries are missing")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_names(path, (i.name for i in inputs), (o.name for o in outputs))
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.classes = parse_classes(metadata.get("attributes", "{}"))
        self.embedding = parse_embedding(metadata.get(EMBEDDING))

    @property
    def device(self) -> str:
        """What the model runs on: ``cuda`` or ``cpu``."""
        return "cuda" if CUDA in self._session.get_providers() else "cpu"

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of one size: see `Runtime`."""
        asked = [*OUTPUTS, *attributes, *([EMBEDDING] if embedding else [])]
        scores, boxes, *told = self._session.run(asked, {INPUT: np.ascontiguousarray(pictures)})
        vectors = told.pop() if embedding else None
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)), vectors)


def open_onnx(path: Path, threads: int | None, device: str, precision: str, streams: int) -> OnnxRuntime:
    """Open a model as `open_runtime` does; raises EngineError for another precision than ``fp32``."""
    if precision != "fp32":
        raise EngineError(f"the engine onnx has no {precision}: it runs a model as it was exported")
    return OnnxRuntime(path, share(threads, streams), device)


def session_options(threads: int) -> Any:
    """Session options for pictures of ever different sizes.

    ONNX Runtime's own choice of threads also pins them, and prints errors where a container forbids that.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: warnings would mix with the caller's output
    options.enable_mem_pattern = False  # a pattern a picture size would be kept for ever
    return options


def _providers(device: str) -> list[Any]:
    """CUDA, where it is wanted and this build of ONNX Runtime has it, and the CPU.

    The heuristic search spares cuDNN's exhaustive benchmark, which would run for every new picture size.
    """
    has_cuda = CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise EngineError(
            "this ONNX Runtime has no CUDA: install onnxruntime-gpu in the place of onnxruntime"
        )
    cuda = (CUDA, {"cudnn_conv_algo_search": "HEURISTIC"})
    return [*([cuda] if has_cuda and device != "cpu" else []), "CPUExecutionProvider"]
