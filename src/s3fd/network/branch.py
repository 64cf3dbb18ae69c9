"""An attribute's own branch beside the backbone's stages, with features of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.network.attributes import Attribute
from s3fd.network.layer_logits import LayerLogits
from s3fd.network.slim import SeparableBlock, convolution

FIRST_LAYER = 2
"""The finest detection layer, stride 16, on which a branch answers."""

WIDTHS = (96, 160, 96, 96)
"""Channels at the strides from 16 on: many where most faces of portraits are read, at 32."""

DEEP = 2
"""Layers that have `Attribute.depth` blocks; coarser ones have one. There is little left to learn of a face
that covers many of their cells."""


class AttributeBranch(nn.Module):
    """Logits of an attribute at every anchor, from blocks of its own beside the backbone's stages.

    The detector's fused maps know where faces are, and little else; what tells people apart has to be learnt,
    and from early on: at stride 8 the backbone has forgotten much of it. So a branch has a block of its own
    from stride 4 to 8, whose output is added to what the backbone's stage says, and goes on in blocks of its
    own at strides 16, 32 and so on, at the first of which it sees the backbone's stage once more. It is still
    one pass: every place of the picture is looked at once.
    """

    def __init__(self, attribute: Attribute, channels: Sequence[int]) -> None:
        """Build an untrained branch beside stages of these `channels`.

        Raises:
            ValueError: layers that do not go on from `FIRST_LAYER` without a gap.
        """
        super().__init__()
        self.layers = attribute.layers
        if self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"a branch has the layers from {FIRST_LAYER} on, none left out: not {self.layers}"
            )
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

    def _features(self) -> tuple[nn.Module, ...]:
        return self.fine, self.lateral, self.down, self.blocks

    def forward(self, stages: Sequence[Tensor]) -> LayerLogits:
        """Map the output of the backbone's six stages to the logits on the branch's layers."""
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
    """A separable block of stride 2 that has not come to its last ReLU, as that follows a sum."""
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    norm = nn.BatchNorm2d(outputs)
    nn.init.zeros_(norm.weight)  # the backbone's stage alone, to begin with
    return nn.Sequential(convolution(inputs, inputs, stride=2, groups=inputs), pointwise, norm)
