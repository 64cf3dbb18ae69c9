"""Batch normalisation over the batch of all processes, so that each share is normalised like the whole.

PyTorch's `SyncBatchNorm` supports only GPUs; `SynchronisedNorm` works on any device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum over all processes; each summand's gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum(value: Tensor) -> Tensor:
    """Sum over all processes, with gradient."""
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class SynchronisedNorm(nn.BatchNorm2d):
    """`BatchNorm2d` whose mean and variance are those of the batches (B, C, H, W) of all processes.

    The variance is computed around the mean, in a second exchange: a difference of two sums would lose
    precision for a large mean.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input`; in evaluation mode with the running statistics, like any batch normalisation."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        x = input.to(torch.promote_types(input.dtype, torch.float32))  # long sums need the precision
        axes = (0, 2, 3)
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = _sum(torch.cat([x.sum(axes), count]))
        cells = sums[-1].detach()
        mean = sums[:-1] / cells
        centred = x - mean[:, None, None]
        variance = _sum(centred.square().sum(axes)) / cells
        scale = torch.rsqrt(variance + self.eps) * self.weight
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * cells / (cells - 1), self.momentum)  # unbiased, as PyTorch's
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(input.dtype)


def synchronise(network: nn.Module, device: torch.device) -> None:
    """Make every batch normalisation of `network` use the whole batch; names, values and modes are kept."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for name, norm in list(network.named_modules()):
        if type(norm) is nn.BatchNorm2d:
            own = SynchronisedNorm(norm.num_features, norm.eps, norm.momentum).to(norm.weight)
            own.load_state_dict(norm.state_dict())
            network.set_submodule(name, own.train(norm.training))
