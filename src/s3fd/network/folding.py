"""A trained network in the form in which it is written down: the same answers with fewer operations."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from s3fd.network.attributes import AttributeHead
from s3fd.network.taps import by_taps

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """Return a copy, to be evaluated, whose convolutions do what their batch normalisation did.

    Normalisation that does not follow a convolution in an `nn.Sequential` stays. The 3×3
    convolutions of attributes, which have few outputs, take another form (`s3fd.network.taps`).
    """
    plain = copy.deepcopy(network).eval()
    for part in plain.modules():
        if isinstance(part, nn.Sequential):
            _fold(part)
        elif isinstance(part, AttributeHead):
            part.conv = nn.ModuleList(map(by_taps, part.conv))
    return plain


def _fold(steps: nn.Sequential) -> None:
    for number in range(len(steps) - 1):
        convolution, norm = steps[number], steps[number + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            steps[number] = fuse_conv_bn_eval(convolution, norm)
            steps[number + 1] = nn.Identity()
