"""An embedding in the same pass: what tells people apart, as a vector at every cell of some layers."""

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
"""Side, in cells, of the square from which a vector is read: a face of the layer's anchor covers four."""


@dataclass(frozen=True)
class Embedding:
    """The shape of an embedding.

    Attributes:
        dimension: of the vectors.
        layers: detection layers that have one, from `FIRST_LAYER` on, none left out. Its faces have 64
            pixels; smaller ones show too little of a person.
        width: channels of the trunk's own stage.
        depth: how many blocks that has.
    """

    dimension: int = 128
    layers: tuple[int, ...] = (2, 3, 4)
    width: int = 256
    depth: int = 8

    def __post_init__(self) -> None:
        """Raise ValueError for a shape that cannot be."""
        if not self.layers or self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"an embedding has the layers from {FIRST_LAYER} on, none left out: not {self.layers}"
            )
        if not 1 < self.layers[-1] <= 5 or min(self.dimension, self.width, self.depth) < 1:
            raise ValueError(f"not the shape of an embedding: {self}")


class EmbeddingTrunk(nn.Module):
    """Vectors at every cell of the embedding's layers, from a trunk of its own.

    What the detector's stages say of a face is the same for all faces, or else it would not find them. So the
    trunk begins with a copy of the first stages, at strides 4 and 8, that learns on, and has a stage of its
    own at stride 16. For each coarser layer the picture is halved, and all layers share the trunk: a face
    looks the same to it on the layer whose anchor has its size, and what is learnt from faces of one size
    holds for all.

    In the end every cell reads the square around it with weights for each place of the face (the global
    depthwise convolution of MobileFaceNets, Chen et al., 2018, section 3.2).
    """

    def __init__(self, embedding: Embedding, backbone: Slim) -> None:
        """Build an untrained trunk that begins as `backbone` does."""
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
        """The vectors (B, D, H / 16, W / 16) of the finest layer alone."""
        vectors: Tensor = self.project(self.readout(self.stage(self.first(pictures))))
        return vectors


def halve(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) at half their size, (B, 3, ceil(H / 2), ceil(W / 2))."""
    return F.avg_pool2d(pictures, 2, ceil_mode=True, count_include_pad=False)


def flatten(maps: Sequence[Tensor]) -> Tensor:
    """All cells' vectors (B, cells, dimension), layer after layer, each row by row."""
    return torch.cat([m.flatten(2) for m in maps], dim=2).transpose(1, 2)
