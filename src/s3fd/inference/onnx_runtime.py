"""An ONNX model in ONNX Runtime, the engine that comes with the package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
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

from s3fd.inference.onnx_outputs import keep
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

onnxruntime.disable_telemetry_events()  # on Windows, where it does not look at what `s3fd` sets

CUDA = "CUDAExecutionProvider"

SPIN = "100"
"""Microseconds for which a thread looks out for work before it sleeps: one operation mostly follows another
in less."""

OPEN_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotSupported)
"""What ONNX Runtime raises on a file it cannot open; they have no base class of their own."""


class OnnxRuntime:
    """A model in ONNX Runtime that answers as `s3fd.inference.runtime.Runtime`.

    It runs the model without the operations that are only needed for what was not asked for: for attributes,
    or for the embedding.
    """

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
        self._threads = threads or processors()
        self._providers = _providers(device)
        model = path.read_bytes()
        faces_alone = _faces_alone(model)
        try:
            self._faces = self._open(path if faces_alone is None else faces_alone)
        except OPEN_ERRORS as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path}: not a model that ONNX Runtime can open: {reason}") from error
        if device == "cuda" and self.device != "cuda":
            raise EngineError("ONNX Runtime cannot start CUDA: no GPU, or its CUDA libraries are missing")
        inputs, outputs = self._faces.get_inputs(), self._faces.get_outputs()
        check_names(path, (i.name for i in inputs), (o.name for o in outputs))
        metadata = self._faces.get_modelmeta().custom_metadata_map
        self.classes = parse_classes(metadata.get("attributes", "{}"))
        self.embedding = parse_embedding(metadata.get(EMBEDDING))
        self._model = None if faces_alone is None else model
        self._opened: dict[tuple[bool, bool], Any] = {}  # by whether attributes and the embedding are told
        self._lock = Lock()

    @property
    def device(self) -> str:
        """What the model runs on: ``cuda`` or ``cpu``."""
        return "cuda" if CUDA in self._faces.get_providers() else "cpu"

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of one size: see `Runtime`."""
        asked = [*OUTPUTS, *attributes, *([EMBEDDING] if embedding else [])]
        session = self._session(bool(attributes), embedding) if attributes or embedding else self._faces
        scores, boxes, *told = session.run(asked, {INPUT: np.ascontiguousarray(pictures)})
        vectors = told.pop() if embedding else None
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)), vectors)

    def _open(self, model: Path | bytes) -> Any:
        """Open a model, or the bytes of one."""
        return onnxruntime.InferenceSession(model, session_options(self._threads), providers=self._providers)

    def _session(self, attributes: bool, embedding: bool) -> Any:
        """What tells more than faces; it is opened when it is asked for the first time."""
        if self._model is None:
            return self._faces
        with self._lock:
            if (attributes, embedding) not in self._opened:
                more = [*(self.classes if attributes else ()), *([EMBEDDING] if embedding else ())]
                self._opened[attributes, embedding] = self._open(keep(self._model, [*OUTPUTS, *more]))
            return self._opened[attributes, embedding]


def open_onnx(path: Path, threads: int | None, device: str, precision: str, streams: int) -> OnnxRuntime:
    """Open a model as `open_runtime` does; raises EngineError for another precision than ``fp32``."""
    if precision != "fp32":
        raise EngineError(f"the engine onnx has no {precision}: it runs a model as it was exported")
    return OnnxRuntime(path, share(threads, streams), device)


def _faces_alone(model: bytes) -> bytes | None:
    """A model that tells nothing but faces; None if that is all it does, or it is not what it should be."""
    try:
        faces_alone = keep(model, OUTPUTS)
    except ValueError:
        return None  # ONNX Runtime says better what is wrong with it
    return faces_alone if len(faces_alone) < len(model) else None


def session_options(threads: int) -> Any:
    """Session options for pictures of ever different sizes.

    ONNX Runtime's own choice of threads also pins them, and prints errors where a container forbids that.
    A thread that has nothing to do looks out for work for a moment, and not, as is ONNX Runtime's choice, for
    some 30 ms: those would be taken from whatever else is to be done, such as decoding, drawing, or another
    program's work. (Versions that do not know one of the two settings ignore it.)
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: warnings would mix with the caller's output
    options.enable_mem_pattern = False  # a pattern a picture size would be kept for ever
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN)
    options.add_session_config_entry("session.force_spinning_stop", "1")  # when a call returns
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
