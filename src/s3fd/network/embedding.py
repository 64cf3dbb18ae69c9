"""An embedding in the same pass: vectors that distinguish people, at every cell of some layers."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.network.branch import FIRST_LAYER
from s3fd.network.slim import SeparableBlock, Slim

READOUT = 5
"""Side, in cells, of the square from which a vector is computed; a face of the anchor's size covers four."""


@dataclass(frozen=True)
class Embedding:
    """The shape of an embedding.

    Attributes:
        dimension: dimension of the vectors.
        layers: detection layers with an embedding, consecutive from `FIRST_LAYER` on. Faces on that layer
            measure 64 pixels; smaller ones show too little of a person.
        width: channels of the trunk's own stage.
        depth: number of blocks in that stage.
    """

    dimension: int = 128
    layers: tuple[int, ...] = (2, 3, 4)
    width: int = 256
    depth: int = 8

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid shape."""
        if not self.layers or self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"an embedding needs consecutive layers from {FIRST_LAYER} on, not {self.layers}"
            )
        if self.layers[-1] > 5 or min(self.dimension, self.width, self.depth) < 1:
            raise ValueError(f"invalid shape of an embedding: {self}")


class EmbeddingTrunk(nn.Module):
    """Trunk that computes vectors at every cell of the embedding's layers.

    The detector's stages encode what faces have in common; otherwise the detector would not find them. The
    trunk therefore begins with a copy of the first stages, at strides 4 and 8, that is trained further, and
    has its own stage at stride 16. For each coarser layer, the picture is halved, and all layers share the
    trunk: every face looks the same to it on the layer whose anchor has the face's size, and what is learnt
    from faces of one size holds for all sizes.

    Finally, every cell reads the square around it with separate weights for each position in the face (the
    global depthwise convolution of MobileFaceNets, Chen et al., 2018, section 3.2).
    """

    def __init__(self, embedding: Embedding, backbone: Slim) -> None:
        """Build an untrained trunk that begins with a copy of the first stages of `backbone`."""
        super().__init__()
        self.layers = embedding.layers
        width = embedding.width
        first = [backbone.stem, *list(backbone.stages)[:FIRST_LAYER]]
        self.first = nn.Sequential(*map(deepcopy, first))
        blocks = (SeparableBlock(width, width) for _ in range(embedding.depth - 1))
        self.stage = nn.Sequential(
            SeparableBlock(backbone.stage_channels[FIRST_LAYER - 1], width, stride=2), *blocks
        )
        self.readout = nn.Sequential(
            nn.Conv2d(width, width, READOUT, padding=READOUT // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
        )
        self.project = nn.Conv2d(width, embedding.dimension, 1)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Map pictures (B, 3, H, W) to vectors of any length (B, D, h, w), layer by layer."""
        maps = [self.finest(pictures)]
        for _ in self.layers[1:]:
            pictures = halve(pictures)
            maps.append(self.finest(pictures))
        return maps

    def finest(self, pictures: Tensor) -> Tensor:
        """Compute the vectors (B, D, H / 16, W / 16) of the finest layer only."""
        vectors: Tensor = self.project(self.readout(self.stage(self.first(pictures))))
        return vectors


def halve(pictures: Tensor) -> Tensor:
    """Shrink pictures (B, 3, H, W) to half their size, (B, 3, ceil(H / 2), ceil(W / 2))."""
    return F.avg_pool2d(pictures, 2, ceil_mode=True, count_include_pad=False)


def flatten(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate the vectors of all cells, layer by layer and row by row: (B, cells, dimension)."""
    return torch.cat([m.flatten(2) for m in maps], dim=2).transpose(1, 2)
