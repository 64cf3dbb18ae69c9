"""Convolutions by their taps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from s3fd.network.taps import by_taps


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), (1, 1)), ((3, 3), (0, 0)), ((1, 3), (0, 2))])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_it_says_the_same_with_one_convolution_over_all_inputs(
    outputs: int, kernel: tuple[int, int], padding: tuple[int, int], bias: bool
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(48, outputs, kernel, padding=padding, bias=bias)
    parts = by_taps(convolution)
    assert isinstance(parts, nn.Sequential)
    first, second = parts
    assert first.weight.shape[2:] == (1, 1) and second.in_channels == outputs * kernel[0] * kernel[1]
    x = torch.randn(2, 48, 7, 5)
    torch.testing.assert_close(parts(x), convolution(x))


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(64, 4, 3, padding=1),  # as many outputs as to fill the registers with taps in vain
        nn.Conv2d(16, 2, 3, padding=1),  # fewer inputs than taps
        nn.Conv2d(64, 2, 1),
        nn.Conv2d(64, 2, 3, stride=2),
        nn.Conv2d(64, 2, 3, dilation=2),
        nn.Conv2d(64, 2, 3, groups=2),
        nn.Conv2d(64, 2, 3, padding="same"),
    ],
)
def test_others_stay_as_they_are(convolution: nn.Conv2d) -> None:
    assert by_taps(convolution) is convolution
