"""Averages of weights: over the steps of a run, which detect better than the last, or of two networks."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from s3fd.network import S3FD


class WeightAverage:
    """The average of `network`'s weights over about the last 1 / (1 - decay) steps; `module` holds it."""

    def __init__(self, network: S3FD, decay: float) -> None:
        """Start from the network's current weights; with a `decay` of 0, the average just follows them."""
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: S3FD, step: int) -> None:
        """Move towards `network`; early steps have more weight, so that the random start is forgotten."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = zip(self.module.state_dict().values(), network.state_dict().values(), strict=True)
        for average, current in pairs:
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)


@torch.no_grad()
def move(own: Mapping[str, Tensor], others: Mapping[str, Tensor], share: float) -> None:
    """Move the weights `own`, in place, by `share` (0–1) of the way to those of the same name in `others`."""
    for name, tensor in own.items():
        if tensor.is_floating_point():
            tensor.lerp_(others[name], share)
