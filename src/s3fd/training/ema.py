"""Exponential moving average of a network's weights, which detects better than those of the last step."""

from __future__ import annotations

import copy

import torch

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
