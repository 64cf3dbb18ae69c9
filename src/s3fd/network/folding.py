"""Batch normalisation worked into the convolutions before it, where a trained network is written down."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """Return a copy, to be evaluated, whose convolutions do what their batch normalisation did.

    It says the same with fewer operations. Normalisation that does not follow a convolution in an
    `nn.Sequential` stays.
    """
    plain = copy.deepcopy(network).eval()
    for part in plain.modules():
        if isinstance(part, nn.Sequential):
            _fold(part)
    return plain


def _fold(steps: nn.Sequential) -> None:
    for number in range(len(steps) - 1):
        convolution, norm = steps[number], steps[number + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            steps[number] = fuse_conv_bn_eval(convolution, norm)
            steps[number + 1] = nn.Identity()
