"""The interface of a network that is ready to run, and the choice of the engine behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.extras import how_to_install
from s3fd.inference.quota import processor_quota

BUNDLED = Path(__file__).parents[1] / "weights"
"""Folder of the models that come with the package."""

ENGINES = {"onnx": (".onnx",), "openvino": (".xml", ".onnx"), "torch": (".safetensors",)}
"""The engines, and the files that each reads. A file goes to the first engine that reads it, unless one is
named."""

EXTRAS = {"openvino": "openvino", "torch": "train"}
"""Extra to install for each engine that does not come with the package."""

DEVICES = ("auto", "cpu", "cuda")
"""Where a network can run; ``auto`` is CUDA if the engine has it, else the CPU."""

PRECISIONS = ("fp32", "bf16")
"""Number formats in which the network can compute."""

INPUT = "pictures"
OUTPUTS = ("scores", "boxes")
EMBEDDING = "embedding"


class EngineError(ValueError):
    """An engine is not installed, or does not have the requested device or precision."""


@dataclass(frozen=True)
class EmbeddingOutput:
    """The embedding of a network.

    Attributes:
        dimension: of its vectors.
        layers: detection layers, 0–5, that have vectors.
        digest: SHA-256, in hexadecimal, of the weights that compute the vectors: those of other weights
            cannot be compared with them.
    """

    dimension: int
    layers: tuple[int, ...]
    digest: str


class AnchorOutputs(NamedTuple):
    """The network's predictions for every anchor of a batch of pictures, before any selection.

    Attributes:
        scores: (N, A) in 0–1.
        boxes: (N, A, 4), xyxy in pixels of the network's input.
        attributes: (N, A, classes) class probabilities of each attribute, by its name.
        embedding: (N, cells, D) vectors of any length on the embedding's layers, layer by layer and row by
            row; None unless requested.
    """

    scores: FloatArray
    boxes: FloatArray
    attributes: Mapping[str, FloatArray]
    embedding: FloatArray | None = None


class Runtime(Protocol):
    """A network that is ready to run: pictures in, scored boxes out, one per anchor."""

    @property
    def engine(self) -> str:
        """One of `ENGINES`."""
        ...

    @property
    def device(self) -> str:
        """What the network runs on: ``cpu`` or ``cuda``."""
        ...

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """The attributes that the network predicts, by name, with their classes in order."""
        ...

    @property
    def embedding(self) -> EmbeddingOutput | None:
        """The network's embedding, if it has one."""
        ...

    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures (N, H, W, 3) uint8 BGR of the same size, and predict these attributes.

        With `embedding`, its vectors are returned too; the network must have an embedding then.
        """
        ...


def open_runtime(
    weights: str | os.PathLike[str] = "slim",
    threads: int | None = None,
    *,
    engine: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    streams: int = 1,
) -> Runtime:
    """Open a model by the name of a bundled one, or by the path of a file.

    Args:
        weights: name of a bundled model, or path of an ``.onnx``, ``.xml`` or ``.safetensors`` file.
        threads: of the network; by default one per processor that this process may use.
        streams: calls that run at the same time, from several threads: each gets its share of `threads`. With
            one stream per processor, every processor works on its own picture and waits for no other.
        engine: one of `ENGINES`; by default the one that the file is for, ``onnx`` for a bundled model.
        device: one of `DEVICES`.
        precision: one of `PRECISIONS`.

    Raises:
        EngineError: the engine is unknown or not installed, or does not have the device or precision here.
        FileNotFoundError: there is no such file.
        ValueError: an unknown name or kind of file, a file that is not a face detector, or `threads` or
            `streams` under 1.
    """
    for what, value, known in (
        ("engine", engine or "onnx", ENGINES),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise EngineError(f"unknown {what} {value!r}: choose one of {', '.join(known)}")
    if streams < 1:
        raise ValueError(f"streams must be 1 or more, not {streams}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}; None means one per processor")
    path, engine = locate(weights, engine)
    with _installed(engine):
        if engine == "torch":
            from s3fd.inference.torch_runtime import open_torch

            return open_torch(path, threads, device, precision, streams)
        if engine == "openvino":
            from s3fd.inference.openvino_runtime import open_openvino

            return open_openvino(path, threads, device, precision, streams)
        from s3fd.inference.onnx_runtime import open_onnx

        return open_onnx(path, threads, device, precision, streams)


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in BUNDLED.glob("*.onnx"))


def processors() -> int:
    """Number of processors that this process may use; in a container, the machine may have more.

    A limit on processor time, such as ``docker run --cpus 1.5``, counts as that many processors, rounded up.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, processor_quota() or there)


def share(threads: int | None, streams: int) -> int:
    """Threads for each of `streams` calls that share `threads`, by default one per processor; at least 1."""
    return max(1, (threads or processors()) // streams)


def existing(path: str | os.PathLike[str]) -> Path:
    """Return `path` if it is a file; raise FileNotFoundError if not."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model")
    return path


def check_names(path: Path, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raise ValueError unless the model at `path` has the inputs and outputs of a `Runtime`."""
    if set(inputs) != {INPUT} or not set(OUTPUTS) <= set(outputs):
        raise ValueError(f"{path}: not a face detector: it must map `{INPUT}` to `scores` and `boxes`")


def parse_classes(text: str) -> dict[str, tuple[str, ...]]:
    """Parse the classes of each attribute, which a model's metadata has as JSON."""
    return {name: tuple(classes) for name, classes in json.loads(text).items()}


def parse_embedding(text: str | None) -> EmbeddingOutput | None:
    """Parse the description of the embedding, which a model's metadata has as JSON; None if there is none."""
    if not text:
        return None
    said = json.loads(text)
    return EmbeddingOutput(int(said["dimension"]), tuple(said["layers"]), str(said["digest"]))


def locate(weights: str | os.PathLike[str], engine: str | None) -> tuple[Path, str]:
    """Find the file that `weights` refers to, and the engine that opens it.

    Raises:
        ValueError: an unknown name or kind of file, or one that this engine does not open.
    """
    path = Path(weights)
    if str(weights) in bundled():
        engine = engine or "onnx"
        files = (BUNDLED / f"{weights}{suffix}" for suffix in ENGINES[engine])
        return next(file for file in files if file.is_file()), engine
    able = [name for name, suffixes in ENGINES.items() if path.suffix in suffixes]
    if engine in able or (engine is None and able):
        return path, engine or able[0]
    known = ", ".join(bundled()) or "none"
    if able and engine:
        kinds = " or ".join(ENGINES[engine])
        raise ValueError(f"{path}: the engine {engine} only opens {kinds} files and bundled models ({known})")
    kinds = ".onnx, .xml or .safetensors file"
    if path.suffix:
        raise ValueError(f"{path}: weights must be an {kinds} or the name of a bundled model ({known})")
    raise ValueError(
        f"no bundled model is called {path} (available: {known}); use one of these or an {kinds}"
    )


@contextmanager
def _installed(engine: str) -> Iterator[None]:
    """Wrap the import of an engine: if a package is missing, say how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if engine not in EXTRAS:
            raise
        raise EngineError(how_to_install(error, f"the engine {engine} needs", EXTRAS[engine])) from error
