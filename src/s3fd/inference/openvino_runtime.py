"""A model in OpenVINO, Intel's engine: an ``.onnx`` file as it is, or an ``.xml`` file, perhaps quantised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

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
)

HINTS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of the precisions. Its own default is bf16 wherever the processor has it."""

FRAMEWORK = "framework"
"""Where OpenVINO keeps what an ONNX model's metadata says."""


class OpenVinoRuntime:
    """A model in OpenVINO, on the CPU, that answers as `s3fd.inference.runtime.Runtime`.

    As many threads as it has streams run it at the same time; others wait for their turn.
    """

    engine = "openvino"
    device = "cpu"

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int | None = None,
        precision: str = "fp32",
        streams: int = 1,
    ) -> None:
        """Open the model at `path` with `threads` threads, by default one a processor, divided by streams.

        Raises:
            EngineError: `precision` is ``bf16``, and the processor has no such numbers.
            FileNotFoundError: there is no such file.
            ValueError: OpenVINO cannot open the file, or it has not the inputs and outputs of `Runtime`.
        """
        path = existing(path)
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("this processor does not compute in bf16")
        try:
            model = core.read_model(path)
            check_names(path, _names(model.inputs), _names(model.outputs))
            options = _options(threads or processors(), precision, streams)
            compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{path}: not a model that OpenVINO can open: {reason}") from error
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self.classes = parse_classes(_said(model, "attributes") or "{}")
        self.embedding = parse_embedding(_said(model, EMBEDDING))

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of one size: see `Runtime`."""
        request = self._idle.get()
        try:
            request.infer({INPUT: np.ascontiguousarray(pictures)}, share_outputs=True)
            asked = (*OUTPUTS, *attributes, *([EMBEDDING] if embedding else []))
            scores, boxes, *told = (request.get_tensor(name).data.copy() for name in asked)
        finally:
            self._idle.put(request)
        vectors = told.pop() if embedding else None
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)), vectors)


def open_openvino(
    path: Path, threads: int | None, device: str, precision: str, streams: int
) -> OpenVinoRuntime:
    """Open a model as `open_runtime` does; raises EngineError for the device ``cuda``."""
    if device == "cuda":
        raise EngineError("the engine openvino has no CUDA: onnx and torch do")
    return OpenVinoRuntime(path, threads, precision, streams)


def _said(model: Any, key: str) -> str | None:
    """What a model's metadata says under `key`."""
    place = [FRAMEWORK, key]
    return model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None


def _names(ports: Sequence[Any]) -> set[str]:
    """Names of a model's inputs or outputs."""
    return set().union(*(port.get_names() for port in ports))


def _options(threads: int, precision: str, streams: int) -> dict[str, Any]:
    """Properties of the CPU for pictures of ever different sizes.

    The model is compiled once, for all sizes. What the CPU prepares for a size is kept for so many operations
    that the frames of a video go through without delay, and a folder of many sizes in bounded memory.
    """
    return {
        "INFERENCE_NUM_THREADS": max(threads, streams),
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # two processes would share some processors and leave others idle
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "CPU_RUNTIME_CACHE_CAPACITY": 500,  # its own choice, 5,000, comes to hundreds of megabytes
    }
