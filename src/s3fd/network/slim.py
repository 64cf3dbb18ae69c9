"""The project's small backbone for CPUs: depthwise-separable blocks and a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Build convolution, batch normalisation and ReLU; n input cells become ceil(n / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class SeparableBlock(nn.Module):
    """A depthwise 3×3 and a pointwise convolution, with a skip connection if the shapes agree.

    Attributes:
        drop: probability that a picture takes only the skip connection during training (stochastic depth,
            Huang et al., ECCV 2016); kept outputs are scaled, so that the mean is unchanged.
    """

    drop = 0.0

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Build a block that divides height and width by `stride`."""
        super().__init__()
        self.depthwise = convolution(inputs, inputs, stride=stride, groups=inputs)
        self.pointwise = convolution(inputs, outputs, kernel=1)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.pointwise(self.depthwise(x))
        if not self.skip:
            return y
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * (kept.to(y.dtype) / (1 - self.drop))
        return x + y


class Slim(nn.Module):
    """A small backbone with the same six strides as the paper's and under 1 M parameters.

    A bottom-up path of separable blocks is followed by a top-down path, which adds each coarser map,
    upsampled, to the next finer one. The stride-4 cells, whose own receptive field is a few dozen pixels,
    thus see the head and shoulders around a small face.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 128, 192, 192, 192),
        depths: tuple[int, ...] = (3, 4, 6, 4, 2, 2),
        pyramid: int = 64,
        smoothing: tuple[int, ...] = (1, 2, 3, 3, 3, 3),
    ) -> None:
        """Build stages of `depths` blocks with `widths` channels, and a pyramid of `pyramid` channels.

        `smoothing` is the number of blocks on each map of the pyramid. Coarse maps, where blocks are cheap,
        have more of them, so that the receptive field at the centre of a large face covers its whole box.

        Raises ValueError unless there are six of each.
        """
        super().__init__()
        if not len(widths) == len(depths) == len(smoothing) == 6:
            raise ValueError("slim has six stages: widths, depths and smoothing must have six values each")
        self.out_channels = (pyramid,) * 6
        self.stage_channels = widths
        self.stem = convolution(3, 16, stride=2)
        stages, inputs = [], 16
        for width, depth in zip(widths, depths, strict=True):
            blocks = [SeparableBlock(inputs, width, stride=2)]
            blocks += [SeparableBlock(width, width) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.lateral = nn.ModuleList(convolution(width, pyramid, kernel=1) for width in widths)
        self.smooth = nn.ModuleList(
            nn.Sequential(*(SeparableBlock(pyramid, pyramid) for _ in range(count))) for count in smoothing
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map a picture batch (B, 3, H, W) to six feature maps at strides 4, 8, 16, 32, 64 and 128."""
        return self.top_down(self.bottom_up(x))

    def freeze_stages(self) -> None:
        """Freeze the bottom-up path and its statistics; the pyramid on top remains trainable."""
        for part in (self.stem, self.stages):
            part.requires_grad_(False).eval()

    def bottom_up(self, x: Tensor, count: int = 6) -> list[Tensor]:
        """Map a picture batch (B, 3, H, W) to the outputs (`stage_channels`) of the first `count` stages."""
        return self.climb([self.stages[0](self.stem(x))], count)

    def climb(self, stages: Sequence[Tensor], count: int = 6) -> list[Tensor]:
        """Extend the outputs of the first stages, one or more, to those of the first `count` stages."""
        outputs = list(stages)
        for stage in list(self.stages)[len(outputs) : count]:
            outputs.append(stage(outputs[-1]))
        return outputs

    def top_down(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Map the outputs of `bottom_up` to the six feature maps."""
        return [smooth(m) for smooth, m in zip(self.smooth, self.fuse(stages), strict=True)]

    def fuse(self, stages: Sequence[Tensor], finest: int = 0) -> list[Tensor]:
        """Fuse the output of each stage from `finest` on with all coarser ones: the maps before smoothing."""
        maps: list[Tensor] = [self.lateral[i](stages[i]) for i in range(finest, len(stages))]
        for i in range(len(maps) - 2, -1, -1):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], size=maps[i].shape[-2:], mode="nearest")
        return maps
