"""Run an ONNX model in ONNX Runtime, the engine that comes with the package."""

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

onnxruntime.disable_telemetry_events()  # for Windows, where it ignores the variable that `s3fd` sets

CUDA = "CUDAExecutionProvider"

SPIN = "100"
"""Microseconds for which an idle thread spins before it sleeps: the next operation usually starts sooner."""

OPEN_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotSupported)
"""What ONNX Runtime raises for a file that it cannot open; these errors have no base class of their own."""


class OnnxRuntime:
    """A model in ONNX Runtime, as an implementation of `s3fd.inference.runtime.Runtime`.

    It skips operations that only compute what was not requested: attributes or the embedding.
    """

    engine = "onnx"

    def __init__(
        self, path: str | os.PathLike[str], threads: int | None = None, device: str = "auto"
    ) -> None:
        """Open the model at `path`; every call runs in `threads` threads, by default one per processor.

        With `device` ``auto``, it runs on the GPU if the installed ONNX Runtime supports CUDA, else on the
        CPU.

        Raises:
            EngineError: `device` is ``cuda``, and this ONNX Runtime lacks CUDA or cannot start it.
            FileNotFoundError: there is no such file.
            ValueError: the file is not an ONNX model, or its inputs and outputs are not those of `Runtime`.
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
        self._opened: dict[tuple[bool, bool], Any] = {}  # by whether attributes and embedding are requested
        self._lock = Lock()

    @property
    def device(self) -> str:
        """What the model runs on: ``cuda`` or ``cpu``."""
        return "cuda" if CUDA in self._faces.get_providers() else "cpu"

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of the same size: see `Runtime`."""
        asked = [*OUTPUTS, *attributes, *([EMBEDDING] if embedding else [])]
        session = self._session(bool(attributes), embedding) if attributes or embedding else self._faces
        scores, boxes, *told = session.run(asked, {INPUT: np.ascontiguousarray(pictures)})
        vectors = told.pop() if embedding else None
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)), vectors)

    def _open(self, model: Path | bytes) -> Any:
        """Open a model from its file or from its bytes."""
        return onnxruntime.InferenceSession(model, session_options(self._threads), providers=self._providers)

    def _session(self, attributes: bool, embedding: bool) -> Any:
        """Return the session that also computes attributes or the embedding; it is opened on first use."""
        if self._model is None:
            return self._faces
        with self._lock:
            if (attributes, embedding) not in self._opened:
                more = [*(self.classes if attributes else ()), *([EMBEDDING] if embedding else ())]
                self._opened[attributes, embedding] = self._open(keep(self._model, [*OUTPUTS, *more]))
            return self._opened[attributes, embedding]


def open_onnx(path: Path, threads: int | None, device: str, precision: str, streams: int) -> OnnxRuntime:
    """Open a model as `open_runtime` does; raises EngineError for any precision but ``fp32``."""
    if precision != "fp32":
        raise EngineError(
            f"the engine onnx does not support {precision}: it runs models as they were exported"
        )
    return OnnxRuntime(path, share(threads, streams), device)


def _faces_alone(model: bytes) -> bytes | None:
    """Cut a model down to finding faces; None if it does nothing else, or is not a valid model."""
    try:
        faces_alone = keep(model, OUTPUTS)
    except ValueError:
        return None  # ONNX Runtime describes better what is wrong with it
    return faces_alone if len(faces_alone) < len(model) else None


def session_options(threads: int) -> Any:
    """Session options for pictures of constantly changing sizes.

    The number of threads is explicit: if ONNX Runtime chooses it, it also pins the threads, and prints errors
    where a container forbids that. An idle thread spins only briefly, not for ONNX Runtime's default of some
    30 ms, which would take time from other work, such as decoding, drawing, or other programs. (Versions that
    do not know one of the two settings ignore it.)
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: warnings would mix with the caller's output
    options.enable_mem_pattern = False  # one pattern per picture size would be kept forever
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN)
    options.add_session_config_entry("session.force_spinning_stop", "1")  # when a call returns
    return options


def _providers(device: str) -> list[Any]:
    """CUDA, if requested and supported by this build of ONNX Runtime, and then the CPU.

    The heuristic search avoids cuDNN's exhaustive benchmark, which would run for every new picture size.
    """
    has_cuda = CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise EngineError(
            "this build of ONNX Runtime has no CUDA support: replace onnxruntime with onnxruntime-gpu"
        )
    cuda = (CUDA, {"cudnn_conv_algo_search": "HEURISTIC"})
    return [*([cuda] if has_cuda and device != "cpu" else []), "CPUExecutionProvider"]
