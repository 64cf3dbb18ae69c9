"""Convolutions with few outputs in a form that runtimes compute faster, where a network is written down."""

from __future__ import annotations

import torch
from torch import nn

AT_ONCE = 16
"""Outputs that ONNX Runtime computes together on a processor with AVX-512: with fewer, the rest is multiplied
in vain. OpenVINO takes as long either way."""


@torch.no_grad()
def by_taps(convolution: nn.Module) -> nn.Module:
    """Return what says the same with fewer multiplications, or `convolution` itself where nothing is gained.

    The k × k places of the kernel, its taps, become outputs of one 1×1 convolution, which fills the registers
    that few outputs leave empty. What they say is then moved to where it belongs and added up, by a second
    convolution of ones and zeros for each output.
    """
    assert isinstance(convolution, nn.Conv2d)
    outputs, inputs, height, width = convolution.weight.shape
    count, padding = outputs * height * width, convolution.padding
    plain = convolution.stride == (1, 1) and convolution.dilation == (1, 1) and convolution.groups == 1
    if not plain or isinstance(padding, str) or count == outputs or count > min(2 * AT_ONCE, inputs):
        return convolution
    taps = nn.Conv2d(inputs, count, 1, bias=False)
    taps.weight.copy_(convolution.weight.permute(0, 2, 3, 1).reshape(count, inputs, 1, 1))
    total = nn.Conv2d(count, outputs, (height, width), padding=(padding[0], padding[1]), groups=outputs)
    total.weight.copy_(torch.eye(height * width).view(-1, height, width))  # each tap at its place
    total.bias = convolution.bias
    return nn.Sequential(taps, total)
