"""The optimiser and its learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

from s3fd.training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Build AdamW or SGD for all parameters; biases and normalisation factors are not decayed.

    SGD uses Nesterov momentum if the momentum is positive.
    """
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum, nesterov=config.momentum > 0)
    return torch.optim.AdamW(groups, lr=config.rate)


def learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of `step` (0, 1, …) in a run of `steps`: linear warm-up, then cosine decay."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return config.rate * (config.final + (1 - config.final) * cosine)
