"""The paper's backbone: VGG-16 up to pool5, fc6 and fc7 as convolutions, and four extra layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights


class L2Norm(nn.Module):
    """Scale each cell's feature vector to unit length, times a learned factor per channel.

    Paper, section 3.1: conv3_3, conv4_3 and conv5_3 have different feature scales and are rescaled to norms
    of 10, 8 and 5 before their heads.
    """

    def __init__(self, channels: int, scale: float) -> None:
        """Start every channel's factor at `scale`."""
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (B, C, H, W) over C."""
        norm = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / norm * self.weight[:, None, None]


class VGG16(nn.Module):
    """VGG-16 with S³FD's detection layers, layer by layer as in the paper (figure 2), 20 M parameters.

    The layers are named as in the public weights (``conv1_1`` … ``conv7_2``, ``conv3_3_norm``).
    """

    out_channels = (256, 512, 512, 1024, 512, 256)

    def __init__(self, fc6_padding: int = 1, batch_norm: bool = False) -> None:
        """Build an untrained network; `fc6_padding` is 1 in the paper, and 3 for the public weights.

        A padding of 3 adds four, two and one cells to both sides of the stride-32 map and of the two coarser
        maps. `batch_norm` normalises the output of every convolution: without it, the nineteen layers hardly
        learn from random weights. `fold` removes it again.
        """
        super().__init__()
        self.conv1_1 = nn.Conv2d(3, 64, 3, padding=1)
        self.conv1_2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2_1 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv2_2 = nn.Conv2d(128, 128, 3, padding=1)
        self.conv3_1 = nn.Conv2d(128, 256, 3, padding=1)
        self.conv3_2 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv3_3 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv4_1 = nn.Conv2d(256, 512, 3, padding=1)
        self.conv4_2 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv4_3 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5_1 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5_2 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5_3 = nn.Conv2d(512, 512, 3, padding=1)
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=fc6_padding)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        self.conv3_3_norm = L2Norm(256, 10)
        self.conv4_3_norm = L2Norm(512, 8)
        self.conv5_3_norm = L2Norm(512, 5)
        convolutions = {name: m for name, m in self.named_children() if isinstance(m, nn.Conv2d)}
        for conv in convolutions.values():
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.batch_norms = nn.ModuleDict()
        if batch_norm:
            self.batch_norms.update({n: nn.BatchNorm2d(c.out_channels) for n, c in convolutions.items()})

    @torch.no_grad()
    def fold(self) -> None:
        """Fold batch normalisation, in its evaluation form, into the convolutions: the paper's layers."""
        for name, norm in self.batch_norms.items():
            conv = self.get_submodule(name)
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None and norm.running_var is not None
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
        self.batch_norms = nn.ModuleDict()

    def _layer(self, name: str, x: Tensor) -> Tensor:
        """Apply one convolution, its batch normalisation if it has one, and ReLU."""
        x = self.get_submodule(name)(x)
        if name in self.batch_norms:
            x = self.batch_norms[name](x)
        return F.relu(x)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map a picture batch (B, 3, H, W) to six feature maps at strides 4, 8, 16, 32, 64 and 128."""
        x = self._layer("conv1_2", self._layer("conv1_1", x))
        x = F.max_pool2d(x, 2)
        x = self._layer("conv2_2", self._layer("conv2_1", x))
        x = F.max_pool2d(x, 2)
        conv3_3 = self._layer("conv3_3", self._layer("conv3_2", self._layer("conv3_1", x)))
        x = F.max_pool2d(conv3_3, 2)
        conv4_3 = self._layer("conv4_3", self._layer("conv4_2", self._layer("conv4_1", x)))
        x = F.max_pool2d(conv4_3, 2)
        conv5_3 = self._layer("conv5_3", self._layer("conv5_2", self._layer("conv5_1", x)))
        x = F.max_pool2d(conv5_3, 2)
        fc7 = self._layer("fc7", self._layer("fc6", x))
        conv6_2 = self._layer("conv6_2", self._layer("conv6_1", fc7))
        conv7_2 = self._layer("conv7_2", self._layer("conv7_1", conv6_2))
        return [
            self.conv3_3_norm(conv3_3),
            self.conv4_3_norm(conv4_3),
            self.conv5_3_norm(conv5_3),
            fc7,
            conv6_2,
            conv7_2,
        ]
