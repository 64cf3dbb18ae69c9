"""Run the network in PyTorch: trained weights without an export, on a CPU or with CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from s3fd.inference.runtime import AnchorOutputs, EmbeddingOutput, EngineError, existing, share
from s3fd.network import S3FD
from s3fd.network.decoder import PictureNetwork
from s3fd.weights.embedding_digest import embedding_digest
from s3fd.weights.network_file import load_network


class TorchRuntime:
    """A network in PyTorch, as an implementation of `s3fd.inference.runtime.Runtime`."""

    engine = "torch"

    def __init__(self, network: S3FD, device: str = "cpu", precision: str = "fp32") -> None:
        """Run `network`, in evaluation mode, on `device`; with ``bf16``, its convolutions in bfloat16.

        The network itself is moved to the device, and its weights to the channels-last memory format, which
        is the order that pictures have.
        """
        self._network = PictureNetwork(network).to(device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = torch.device(device)
        self._precision = precision
        self.embedding: EmbeddingOutput | None = None
        if (shape := network.embedding) is not None:
            self.embedding = EmbeddingOutput(shape.dimension, shape.layers, embedding_digest(network))

    @property
    def device(self) -> str:
        """What the network runs on: ``cuda`` or ``cpu``."""
        return self._device.type

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """The network's attributes and their classes."""
        return {attribute.name: attribute.classes for attribute in self._network.network.attributes}

    @torch.inference_mode()
    def __call__(
        self, pictures: NDArray[np.uint8], attributes: Sequence[str] = (), embedding: bool = False
    ) -> AnchorOutputs:
        """Run a batch of pictures of the same size: see `Runtime`."""
        # PyTorch warns of read-only memory, such as Pillow's: such pictures are copied.
        batch = torch.from_numpy(np.require(pictures, requirements=("C", "W"))).to(self._device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self._precision == "bf16"):
            outputs = self._network(batch, attributes, embedding)
        scores, boxes, *told = (x.cpu().numpy() for x in outputs)
        vectors = told.pop() if embedding and self.embedding is not None else None
        named = dict(zip((name for name in self.classes if name in attributes), told, strict=True))
        return AnchorOutputs(scores, boxes, {name: named[name] for name in attributes}, vectors)


def open_torch(path: Path, threads: int | None, device: str, precision: str, streams: int) -> TorchRuntime:
    """Open weights as `open_runtime` does.

    PyTorch has one number of threads for the whole process.

    Raises:
        EngineError: `device` is ``cuda``, and PyTorch finds no CUDA device.
        FileNotFoundError: there is no such file.
        WeightsError: the file is damaged, or was not written by `s3fd.weights.network_file.save_network`.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise EngineError("PyTorch cannot find a CUDA device")
    network = load_network(existing(path))
    # By itself, it has at most one per core: two threads of a core only wait for each other.
    most = share(threads, streams)
    torch.set_num_threads(most if threads or streams > 1 else min(most, torch.get_num_threads()))
    return TorchRuntime(network, "cuda" if has_cuda and device != "cpu" else "cpu", precision)
