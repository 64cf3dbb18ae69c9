"""An attribute's own branch: it leaves the detector's backbone early, and learns features of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from s3fd.network.attributes import Attribute
from s3fd.network.layer_logits import LayerLogits
from s3fd.network.slim import SeparableBlock

WIDTH = 96
"""Channels: half of what the backbone has there."""

FIRST_LAYER = 2
"""The finest detection layer, stride 16, on which a branch answers."""


class AttributeBranch(nn.Module):
    """Logits of an attribute at every anchor, from blocks of its own on the backbone's stride-8 features.

    The detector's fused maps know where faces are, and little else; what tells people apart has to be learnt.
    A branch learns it without the detector changing at all, and still in one pass: its blocks see each place
    of the picture once, at strides 16, 32, 64 and 128.
    """

    def __init__(self, attribute: Attribute, inputs: int) -> None:
        """Build an untrained branch, `attribute.depth` blocks a stride, for `inputs` stride-8 channels."""
        super().__init__()
        self.layers = attribute.layers
        if self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"a branch has the layers from {FIRST_LAYER} on, none left out: not {self.layers}"
            )
        self.stages = nn.ModuleList()
        self.conv = nn.ModuleList()
        for _ in self.layers:
            rest = (SeparableBlock(WIDTH, WIDTH) for _ in range(attribute.depth - 1))
            self.stages.append(nn.Sequential(SeparableBlock(inputs, WIDTH, stride=2), *rest))
            self.conv.append(nn.Conv2d(WIDTH, len(attribute.classes), 3, padding=1))
            inputs = WIDTH

    @torch.no_grad()
    def copy_features(self, others: Iterable[nn.Module]) -> None:
        """Start with the features of the first of `others` that is a branch of this shape, if there is one.

        What was learnt of faces for another label is a better start than noise where labels are few.
        """
        own = {name: tensor.shape for name, tensor in self.stages.state_dict().items()}
        for other in others:
            if isinstance(other, AttributeBranch):
                theirs = other.stages.state_dict()
                if {name: tensor.shape for name, tensor in theirs.items()} == own:
                    self.stages.load_state_dict(theirs)
                    return

    def forward(self, early: Tensor, map_sizes: Sequence[tuple[int, int]]) -> LayerLogits:
        """Map stride-8 features (B, C, H, W) to the logits on the branch's layers; maps have these sizes."""
        own: dict[int, Tensor] = {}
        x = early
        for layer, stage, conv in zip(self.layers, self.stages, self.conv, strict=True):
            x = stage(x)
            own[layer] = conv(x)
        return LayerLogits(own, map_sizes)
