"""Attribute heads: predict labels of faces (gender, a mask, anything) from the detector's feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from s3fd.inference.records import COLUMNS
from s3fd.network.heads import DetectionHeads
from s3fd.network.layer_logits import LayerLogits
from s3fd.network.slim import SeparableBlock

TAKEN = {*COLUMNS, "box", "faces", "out", "track", "pictures", "boxes", "scores", "embedding"}
"""Reserved names: they have another meaning in reports on faces, or among a model's inputs and outputs."""

MIDDLE_LAYERS = (1, 2, 3, 4)
"""The detection layers with a head: all but the first and the last (the published exercise)."""


@dataclass(frozen=True)
class Attribute:
    """One attribute that a network predicts for every face.

    Attributes:
        name: name of the attribute, such as ``gender``.
        classes: names of the classes, in the order of the head's outputs.
        kind: ``layers``, a 3×3 convolution on each of `layers`; ``tower``, `depth` blocks and one such
            convolution, shared by all `layers`; ``branch``, see `s3fd.network.branch`; ``picture``, one
            prediction for a whole picture, see `s3fd.network.picture_head`.
        layers: detection layers (0–5) with a head.
        depth: number of blocks in the tower, or in the branch at strides 16 and 32.
        temperature: divisor of the logits, fitted on held-out faces to calibrate the probabilities.
    """

    name: str
    classes: tuple[str, ...]
    kind: Literal["layers", "tower", "branch", "picture"] = "layers"
    layers: tuple[int, ...] = MIDDLE_LAYERS
    depth: int = 2
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a reserved name, too few or duplicate classes, or invalid layers."""
        if not self.name or "." in self.name or self.name in TAKEN or hasattr(nn.ModuleDict(), self.name):
            raise ValueError(f"an attribute cannot be called {self.name!r}: choose another name")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{self.name} needs at least two different classes, not {self.classes}")
        if (
            not self.layers
            or not set(self.layers) <= set(range(6))
            or sorted(set(self.layers)) != list(self.layers)
        ):
            raise ValueError(f"{self.name}: layers must be some of 0–5 in ascending order, not {self.layers}")


class AttributeHead(nn.Module):
    """Head for the logits of an attribute at every anchor, in parallel with the face classifier."""

    def __init__(self, attribute: Attribute, channels: Sequence[int]) -> None:
        """Build an untrained head for maps of `channels`; a tower raises ValueError if they are unequal."""
        super().__init__()
        self.layers = attribute.layers
        inputs = [channels[layer] for layer in self.layers]
        outputs = len(attribute.classes)
        self.tower = nn.Sequential()
        if attribute.kind == "tower":
            if len(set(inputs)) > 1:
                raise ValueError(f"a tower needs maps with the same number of channels, not {inputs}")
            self.tower = nn.Sequential(
                *(SeparableBlock(inputs[0], inputs[0]) for _ in range(attribute.depth))
            )
            inputs = inputs[:1]
        self.conv = nn.ModuleList(nn.Conv2d(c, outputs, 3, padding=1) for c in inputs)
        for conv in self.conv:
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[Tensor]) -> LayerLogits:
        """Map six maps (B, C, H, W), finest first, to the logits on the layers with a head."""
        own: dict[int, Tensor] = {}
        for i, layer in enumerate(self.layers):
            own[layer] = self.conv[min(i, len(self.conv) - 1)](self.tower(maps[layer]))
        return LayerLogits(own, [(m.shape[-2], m.shape[-1]) for m in maps])


@torch.no_grad()
def copy_face_channel(head: AttributeHead, detector: DetectionHeads) -> None:
    """Start every class of a `layers` head as a copy of its layer's face classifier (the published exercise).

    Raises:
        ValueError: the head is a tower, which has no separate classifier on each layer.
    """
    if len(head.tower):
        raise ValueError("only heads of kind layers can start as copies of the face classifier")
    for layer, conv in zip(head.layers, head.conv, strict=True):
        face = detector.conf[layer]
        assert isinstance(conv, nn.Conv2d) and isinstance(face, nn.Conv2d)
        assert conv.bias is not None and face.bias is not None
        conv.weight.copy_(face.weight[-1:].expand_as(conv.weight))
        conv.bias.copy_(face.bias[-1:].expand_as(conv.bias))
