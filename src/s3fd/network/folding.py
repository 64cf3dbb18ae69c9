"""Export form of a trained network: the same outputs with fewer operations."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from s3fd.network.attributes import AttributeHead
from s3fd.network.taps import by_taps

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """Return a copy in evaluation mode, with batch normalisation folded into the convolutions.

    Normalisation that does not follow a convolution in an `nn.Sequential` is kept. The 3×3 convolutions of
    attributes, which have few outputs, are rewritten (`s3fd.network.taps`).
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
