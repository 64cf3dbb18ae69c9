"""An embedding in the same pass: what tells people apart, as a vector at every cell of some layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s3fd.network.branch import FIRST_LAYER
from s3fd.network.slim import SeparableBlock

READOUT = 5
"""Side, in cells, of the square from which a vector is read: a face of the layer's anchor covers four."""


@dataclass(frozen=True)
class Embedding:
    """The shape of an embedding.

    Attributes:
        dimension: of the vectors.
        layers: detection layers that have one, from `FIRST_LAYER` on, none left out. Its faces have 64
            pixels; smaller ones show too little of a person.
        width: channels of the blocks.
        depth: how many blocks there are.
    """

    dimension: int = 128
    layers: tuple[int, ...] = (2, 3, 4)
    width: int = 128
    depth: int = 5

    def __post_init__(self) -> None:
        """Raise ValueError for a shape that cannot be."""
        if not self.layers or self.layers != tuple(range(FIRST_LAYER, FIRST_LAYER + len(self.layers))):
            raise ValueError(
                f"an embedding has the layers from {FIRST_LAYER} on, none left out: not {self.layers}"
            )
        if not 1 < self.layers[-1] <= 5 or min(self.dimension, self.width, self.depth) < 1:
            raise ValueError(f"not the shape of an embedding: {self}")


class EmbeddingBranch(nn.Module):
    """Vectors at every cell of the embedding's layers, from the backbone's stride-8 features.

    The features are halved once more for each layer, and all layers share the blocks that follow: a face
    looks the same to them on the layer whose anchor has its size, and each layer learns from the faces of
    all. Before them the features of each layer are normalised by their own mean and spread, as the blocks'
    own normalisations cannot be.

    In the end every cell reads the square around it with weights for each place of the face (the global
    depthwise convolution of MobileFaceNets, Chen et al., 2018, section 3.2).
    """

    def __init__(self, embedding: Embedding, inputs: int) -> None:
        """Build an untrained branch for `inputs` stride-8 channels."""
        super().__init__()
        self.layers = embedding.layers
        width = embedding.width
        self.halve = nn.ModuleList(SeparableBlock(inputs, inputs, stride=2) for _ in embedding.layers[1:])
        self.enter = nn.ModuleList(nn.BatchNorm2d(inputs) for _ in embedding.layers)
        blocks = (SeparableBlock(width, width) for _ in range(embedding.depth - 1))
        self.trunk = nn.Sequential(SeparableBlock(inputs, width, stride=2), *blocks)
        self.readout = nn.Sequential(
            nn.Conv2d(width, width, READOUT, padding=READOUT // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
        )
        self.project = nn.Conv2d(width, embedding.dimension, 1)

    def forward(self, early: Tensor) -> list[Tensor]:
        """Map stride-8 features (B, C, H, W) to vectors of any length (B, D, h, w), layer by layer."""
        maps = [self._vectors(0, early)]
        for level, halve in enumerate(self.halve, 1):
            early = halve(early)
            maps.append(self._vectors(level, early))
        return maps

    def on(self, level: int, early: Tensor) -> Tensor:
        """The vectors on the embedding's layer number `level` (0, 1, …) alone, as `forward`."""
        for halve in list(self.halve)[:level]:
            early = halve(early)
        return self._vectors(level, early)

    def _vectors(self, level: int, features: Tensor) -> Tensor:
        """The vectors (B, D, h, w) of a layer, from features (B, C, 2h, 2w)."""
        vectors: Tensor = self.project(self.readout(self.trunk(self.enter[level](features))))
        return vectors


def flatten(maps: Sequence[Tensor]) -> Tensor:
    """All cells' vectors (B, cells, dimension), layer after layer, each row by row."""
    return torch.cat([m.flatten(2) for m in maps], dim=2).transpose(1, 2)
