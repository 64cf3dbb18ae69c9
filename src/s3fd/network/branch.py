"""An attribute's branch: separate blocks with features of their own, parallel to the backbone's stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.network.attributes import Attribute
from s3fd.network.layer_logits import LayerLogits
from s3fd.network.slim import SeparableBlock, convolution

FIRST_LAYER = 2
"""The finest detection layer on which a branch predicts: stride 16."""

WIDTHS = (96, 160, 96, 96)
"""Channels at the strides from 16 on: most at 32, where most faces in portraits are classified."""

DEEP = 2
"""Number of layers with `Attribute.depth` blocks; coarser ones have one block, since little remains to be
learnt about a face that covers many of their cells."""


class AttributeBranch(nn.Module):
    """Head for the logits of an attribute at every anchor, with blocks parallel to the backbone's stages.

    The detector's fused maps encode where faces are, and little else. Features that distinguish people have
    to be learnt separately, and from early on: at stride 8, the backbone has already lost many of them. A
    branch therefore has its own block from stride 4 to 8, whose output is added to that of the backbone's
    stage, and continues with its own blocks at strides 16, 32 and so on. At stride 16, it receives the output
    of the backbone's stage once more. This is still a single pass: every place in the picture is processed
    once.
    """

    def __init__(self, attribute: Attribute, channels: Sequence[int]) -> None:
        """Build an untrained branch for a backbone whose stages have these `channels`.

        Raises:
            ValueError: the layers are not consecutive from `FIRST_LAYER` on.
        """
        super().__init__()
        self.layers = attribute.layers
        if self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(f"a branch needs consecutive layers from {FIRST_LAYER} on, not {self.layers}")
        inputs = channels[FIRST_LAYER - 1]
        self.fine = _beside(channels[FIRST_LAYER - 2], inputs)
        self.lateral = convolution(channels[FIRST_LAYER], WIDTHS[0], kernel=1)
        self.down = nn.ModuleList()
        self.blocks = nn.ModuleList()
        self.conv = nn.ModuleList()
        for number, width in enumerate(WIDTHS[: len(self.layers)]):
            depth = attribute.depth if number < DEEP else 1
            self.down.append(SeparableBlock(inputs, width, stride=2))
            self.blocks.append(nn.Sequential(*(SeparableBlock(width, width) for _ in range(depth - 1))))
            self.conv.append(nn.Conv2d(width, len(attribute.classes), 1))
            inputs = width

    @torch.no_grad()
    def copy_features(self, others: Iterable[nn.Module]) -> None:
        """Start with the features of the first of `others` that is a branch of this shape, if there is one.

        If labels are few, features learnt for another attribute are a better start than random ones.
        """
        for other in others:
            if isinstance(other, AttributeBranch) and other.features_shape() == self.features_shape():
                for own, theirs in zip(self._features(), other._features(), strict=True):
                    own.load_state_dict(theirs.state_dict())
                return

    def features_shape(self) -> list[torch.Size]:
        """Return the shapes of all feature tensors: branches can share features if these are equal.

        The last convolution of each layer is not among them.
        """
        return [tensor.shape for part in self._features() for tensor in part.state_dict().values()]

    def _features(self) -> tuple[nn.Module, ...]:
        return self.fine, self.lateral, self.down, self.blocks

    def forward(self, stages: Sequence[Tensor]) -> LayerLogits:
        """Map the outputs of the backbone's six stages to the logits on the branch's layers."""
        own: dict[int, Tensor] = {}
        x = F.relu(self.fine(stages[FIRST_LAYER - 2]) + stages[FIRST_LAYER - 1])
        for layer, down, blocks, conv in zip(self.layers, self.down, self.blocks, self.conv, strict=True):
            x = down(x)
            if layer == FIRST_LAYER:
                x = x + self.lateral(stages[layer])
            x = blocks(x)
            own[layer] = conv(x)
        return LayerLogits(own, [(stage.shape[-2], stage.shape[-1]) for stage in stages])


def _beside(inputs: int, outputs: int) -> nn.Sequential:
    """Build a separable block of stride 2 without its last ReLU, which follows the sum."""
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    norm = nn.BatchNorm2d(outputs)
    nn.init.zeros_(norm.weight)  # initially, only the backbone's stage contributes
    return nn.Sequential(convolution(inputs, inputs, stride=2, groups=inputs), pointwise, norm)
