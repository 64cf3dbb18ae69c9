"""Export form of convolutions with few outputs, which runtimes compute faster."""

from __future__ import annotations

import torch
from torch import nn

AT_ONCE = 16
"""Outputs that ONNX Runtime computes together on a processor with AVX-512; with fewer, multiplications are
wasted. OpenVINO takes the same time either way."""


@torch.no_grad()
def by_taps(convolution: nn.Module) -> nn.Module:
    """Return an equivalent with fewer multiplications, or `convolution` itself if nothing is gained.

    The k × k positions of the kernel, its taps, become outputs of one 1×1 convolution, which fills the
    registers that few outputs leave empty. A second convolution, of ones and zeros for each output, then
    shifts the taps' results to their places and adds them up.
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
