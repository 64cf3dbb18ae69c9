"""The logits of an attribute's heads, and how they are spread to all anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class LayerLogits(NamedTuple):
    """Logits of an attribute's heads, each on its own detection layer.

    A layer without a head takes those of the nearest layer with one, at the same place in the picture.

    Attributes:
        own: (B, classes, H, W) logits by layer, 0–5.
        map_sizes: (height, width) in cells of each of the six maps.
    """

    own: Mapping[int, Tensor]
    map_sizes: Sequence[tuple[int, int]]

    def spread(self) -> Tensor:
        """Return the logits (B, A, classes) of all anchors, in the order of `s3fd.anchors.anchors`."""
        return self._everywhere(self.own)

    def probabilities(self, temperature: float) -> Tensor:
        """Return the probabilities (B, A, classes) in 0–1 of all anchors.

        The softmax is computed before spreading: the coarse layers have only a sixteenth of all anchors.
        """
        each = {layer: torch.softmax(x.float() / temperature, dim=1) for layer, x in self.own.items()}
        return self._everywhere(each)

    def _everywhere(self, own: Mapping[int, Tensor]) -> Tensor:
        every = []
        for layer, size in enumerate(self.map_sizes):
            nearest = min(own, key=lambda other: (abs(other - layer), other))
            x = own[nearest]
            if nearest != layer:
                x = F.interpolate(x, size=size, mode="nearest")
            every.append(x.flatten(2))
        return torch.cat(every, dim=2).transpose(1, 2)
