"""An attribute's own branch beside the backbone's coarser stages, with features of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from s3fd.network.attributes import Attribute
from s3fd.network.layer_logits import LayerLogits
from s3fd.network.slim import SeparableBlock, convolution

WIDTH = 96
"""Channels: half of what the backbone has there."""

FIRST_LAYER = 2
"""The finest detection layer, stride 16, on which a branch answers."""


class AttributeBranch(nn.Module):
    """Logits of an attribute at every anchor, from blocks of its own beside the backbone's coarser stages.

    The detector's fused maps know where faces are, and little else; what tells people apart has to be learnt.
    A branch starts from the stage at stride 8 and learns in blocks of its own at strides 16, 32 and so on, at
    each of which it also sees what the backbone's stage says. It is still one pass: every place of the
    picture is looked at once.
    """

    def __init__(self, attribute: Attribute, channels: Sequence[int]) -> None:
        """Build an untrained branch, `attribute.depth` blocks a stride, beside stages of these `channels`.

        Raises:
            ValueError: layers that do not go on from `FIRST_LAYER` without a gap.
        """
        super().__init__()
        self.layers = attribute.layers
        if self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"a branch has the layers from {FIRST_LAYER} on, none left out: not {self.layers}"
            )
        self.down = nn.ModuleList()
        self.lateral = nn.ModuleList()
        self.blocks = nn.ModuleList()
        self.conv = nn.ModuleList()
        inputs = channels[FIRST_LAYER - 1]
        for layer in self.layers:
            self.down.append(SeparableBlock(inputs, WIDTH, stride=2))
            self.lateral.append(convolution(channels[layer], WIDTH, kernel=1))
            self.blocks.append(
                nn.Sequential(*(SeparableBlock(WIDTH, WIDTH) for _ in range(attribute.depth - 1)))
            )
            self.conv.append(nn.Conv2d(WIDTH, len(attribute.classes), 3, padding=1))
            inputs = WIDTH

    @torch.no_grad()
    def copy_features(self, others: Iterable[nn.Module]) -> None:
        """Start with the features of the first of `others` that is a branch of this shape, if there is one.

        What was learnt of faces for another label is a better start than noise where labels are few.
        """
        for other in others:
            if isinstance(other, AttributeBranch) and other.features_shape() == self.features_shape():
                for own, theirs in zip(self._features(), other._features(), strict=True):
                    own.load_state_dict(theirs.state_dict())
                return

    def features_shape(self) -> list[torch.Size]:
        """Shapes of all tensors but the last convolutions': two branches of equal ones can share features."""
        return [tensor.shape for part in self._features() for tensor in part.state_dict().values()]

    def _features(self) -> tuple[nn.ModuleList, ...]:
        return self.down, self.lateral, self.blocks

    def forward(self, stages: Sequence[Tensor]) -> LayerLogits:
        """Map the output of the backbone's six stages to the logits on the branch's layers."""
        own: dict[int, Tensor] = {}
        x = stages[FIRST_LAYER - 1]
        parts = zip(self.layers, self.down, self.lateral, self.blocks, self.conv, strict=True)
        for layer, down, lateral, blocks, conv in parts:
            x = blocks(down(x) + lateral(stages[layer]))
            own[layer] = conv(x)
        return LayerLogits(own, [(stage.shape[-2], stage.shape[-1]) for stage in stages])
