"""Run a model in OpenVINO, Intel's engine: an ``.onnx`` file, or an ``.xml`` file that may be quantised."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.passes import ConstantFolding, Manager

from s3fd.inference.openvino_core import core
from s3fd.inference.resize import pad
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
"""OpenVINO's names for the precisions. Its own default is bf16 wherever the processor supports it."""

FRAMEWORK = "framework"
"""Key under which OpenVINO keeps an ONNX model's metadata."""

MULTIPLE = 128
"""Sides of pictures are padded to multiples of this where precision is reduced anyway. This reduces a folder
of many shapes to a few: at 640 pixels to nine, from 640 × 640 to 640 × 128."""

QUANTISED = "FakeQuantize"
"""Operation by which a model in 8 bits is recognised."""

RECURRENT = 25
"""Calls with pictures of one shape after which the model is compiled for that shape. Compiling takes as long
as some 75 such calls save, and a shape that occurred this often will occur again."""

FIXED = 6
"""Most models compiled for one shape that are kept, at some 40 MB each."""

FIXED_PIXELS = 1_500_000
"""Most pixels of a batch of such a shape. Larger batches gain little and take much memory."""

REMEMBERED = 100
"""Number of shapes whose calls are counted, the most recent ones: a folder may have thousands."""


class OpenVinoRuntime:
    """A model in OpenVINO, on the CPU, as an implementation of `s3fd.inference.runtime.Runtime`.

    As many threads as it has streams can run it at the same time; others wait for their turn. It skips
    operations that only compute what was not requested: attributes or the embedding.

    In bf16, or with a model in 8 bits, it pads pictures at the right and at the bottom (`MULTIPLE`), so the
    outputs include anchors beyond the pictures' edges. If the embedding is requested, it does not pad,
    because the number of cells must match the size of the pictures.
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
        """Open the model at `path` with `threads` threads, by default one per processor, for all streams.

        Raises:
            EngineError: `precision` is ``bf16``, and the processor does not support it.
            FileNotFoundError: there is no such file.
            ValueError: OpenVINO cannot open the file, or its inputs and outputs are not those of `Runtime`.
        """
        path = existing(path)
        if precision == "bf16" and "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("this processor does not support bf16: use fp32")
        _touch_a_tensor()
        self._options = _options(threads or processors(), precision, streams)
        self._streams = streams
        try:
            model = core().read_model(path)
            check_names(path, _names(model.inputs), _names(model.outputs))
            quantised = _quantised(model)
            if not quantised:  # in a quantised model, constants must stay in 8 bits
                _fold_constants(model)
            self._model = model
            faces = _keeping(model, OUTPUTS)
            self._models = {(False, False): faces}  # by whether attributes and embedding are requested
            self._any = {(False, False): self._compiled(faces)}  # for every shape
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{path}: not a model that OpenVINO can open: {reason}") from error
        self._multiple = MULTIPLE if precision == "bf16" or quantised else 1
        self._fixed: OrderedDict[_Kind, _Requests] = OrderedDict()
        self._calls: OrderedDict[_Kind, int] = OrderedDict()
        self._lock = Lock()
        self.classes = parse_classes(_said(model, "attributes") or "{}")
        self.embedding = parse_embedding(_said(model, EMBEDDING))

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of the same size: see `Runtime`."""
        asked = [*OUTPUTS, *attributes, *([EMBEDDING] if embedding else [])]
        if not embedding:
            pictures = _padded(pictures, self._multiple)
        requests = self._requests(_Kind((bool(attributes), embedding), pictures.shape))
        scores, boxes, *told = requests.run(np.ascontiguousarray(pictures), asked)
        vectors = told.pop() if embedding else None
        return AnchorOutputs(scores, boxes, dict(zip(attributes, told, strict=True)), vectors)

    def _requests(self, kind: _Kind) -> _Requests:
        """Return what runs calls of a kind: the model compiled for every shape, or for a recurring one."""
        with self._lock:
            if kind in self._fixed:
                self._fixed.move_to_end(kind)
                return self._fixed[kind]
            if self._recurs(kind):
                model = self._telling(kind.told).clone()
                model.reshape({INPUT: list(kind.shape)})
                self._fixed[kind] = self._compiled(model)
                if len(self._fixed) > FIXED:
                    self._fixed.popitem(last=False)
                return self._fixed[kind]
            if kind.told not in self._any:
                self._any[kind.told] = self._compiled(self._telling(kind.told))
            return self._any[kind.told]

    def _telling(self, told: tuple[bool, bool]) -> Any:
        """Return the model that predicts faces, and attributes and the embedding if `told` has them."""
        if told not in self._models:
            attributes, embedding = told
            more = [*(self.classes if attributes else ()), *([EMBEDDING] if embedding else ())]
            self._models[told] = _keeping(self._model, [*OUTPUTS, *more])
        return self._models[told]

    def _recurs(self, kind: _Kind) -> bool:
        """Count a call, and return whether it is time to compile the model for its shape."""
        count = self._calls.pop(kind, 0) + 1
        if count > RECURRENT and math.prod(kind.shape[:3]) <= FIXED_PIXELS:
            return True
        self._calls[kind] = count
        if len(self._calls) > REMEMBERED:
            self._calls.popitem(last=False)
        return False

    def _compiled(self, model: Any) -> _Requests:
        """Compile a model, with a request for each stream."""
        return _Requests(core().compile_model(model, "CPU", self._options), self._streams)


class _Kind(NamedTuple):
    """What distinguishes calls: whether attributes and embedding are requested, and the pictures' shape."""

    told: tuple[bool, bool]
    shape: tuple[int, ...]


class _Requests:
    """A compiled model that as many threads can run at a time as it has streams."""

    def __init__(self, compiled: Any, streams: int) -> None:
        """Create one request per stream."""
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, pictures: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[Any]]:
        """Run a batch as soon as a request is idle, and return copies of the outputs with these names."""
        request = self._idle.get()
        try:
            request.infer({INPUT: pictures}, share_outputs=True)
            return [request.get_tensor(name).data.copy() for name in names]
        finally:
            self._idle.put(request)


def open_openvino(
    path: Path, threads: int | None, device: str, precision: str, streams: int
) -> OpenVinoRuntime:
    """Open a model as `open_runtime` does; raises EngineError for the device ``cuda``."""
    if device == "cuda":
        raise EngineError("the engine openvino does not support CUDA: use onnx or torch")
    return OpenVinoRuntime(path, threads, precision, streams)


def _touch_a_tensor() -> None:
    """Let OpenVINO initialise its support for NumPy arrays in this thread.

    It does so when a tensor is first read, and holds a lock of its own while it waits for Python's. If two
    threads do that at once, they deadlock (OpenVINO 2026.4).
    """
    _ = openvino.Tensor(np.zeros(1, np.float32)).data


def _said(model: Any, key: str) -> str | None:
    """Value of `key` in a model's metadata; None if there is none."""
    place = [FRAMEWORK, key]
    return model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None


def _fold_constants(model: Any) -> None:
    """Compute once what depends on no picture, such as shapes of biases: compiling takes a third less."""
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def _quantised(model: Any) -> bool:
    """Whether a model computes in 8 bits."""
    return any(operation.get_type_name() == QUANTISED for operation in model.get_ops())


def _padded(pictures: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Pad pictures (N, H, W, 3) so that H and W become multiples of `multiple`."""
    _, height, width, _ = pictures.shape
    return pad(pictures, -(-height // multiple) * multiple, -(-width // multiple) * multiple)


def _keeping(model: Any, outputs: Sequence[str]) -> Any:
    """A copy of an `openvino.Model` with only these outputs."""
    kept = model.clone()
    for result in kept.get_results():
        if result.output(0).get_names().isdisjoint(outputs):
            kept.remove_result(result)
    return kept


def _names(ports: Sequence[Any]) -> set[str]:
    """Names of a model's inputs or outputs."""
    return set().union(*(port.get_names() for port in ports))


def _options(threads: int, precision: str, streams: int) -> dict[str, Any]:
    """CPU properties for pictures of constantly changing sizes.

    OpenVINO caches what it prepares for a size, operation by operation. The cache is large enough for the
    frames of a video to run without delay, and small enough to bound the memory for a folder of many sizes.
    """
    return {
        "INFERENCE_NUM_THREADS": max(threads, streams),
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # two processes would share some processors and leave others idle
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "CPU_RUNTIME_CACHE_CAPACITY": 500,  # the default, 5,000, takes hundreds of megabytes
    }
