"""The network in PyTorch: trained weights without an export, for evaluation while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from s3fd.inference.runtime import AnchorOutputs
from s3fd.network import S3FD
from s3fd.network.decoder import PictureNetwork


class TorchRuntime:
    """A network that answers as `s3fd.inference.runtime.Runtime`."""

    def __init__(self, network: S3FD, device: str = "cpu") -> None:
        """Run `network`, in evaluation mode, on `device`."""
        self._network = PictureNetwork(network).to(device)
        self._device = device

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """The network's attributes and their classes."""
        return {attribute.name: attribute.classes for attribute in self._network.network.attributes}

    @torch.inference_mode()
    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        """Run a batch of pictures of one size: see `Runtime`."""
        batch = torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device)
        scores, boxes, *told = (x.cpu().numpy() for x in self._network(batch))
        named = dict(zip(self.classes, told, strict=True))
        return AnchorOutputs(scores, boxes, {name: named[name] for name in attributes})
