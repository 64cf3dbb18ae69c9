"""Losses of an embedding: distance from a teacher's vectors, and a margin between people."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.data.labels import NOT_KNOWN


class MarginLoss(nn.Module):
    """Softmax over the cosines with each person's direction, with a margin against the right one.

    CosFace (Wang et al., CVPR 2018) subtracts the margin from the cosine; ArcFace (Deng et al., CVPR 2019)
    adds it to the angle.
    """

    def __init__(
        self,
        people: int,
        dimension: int,
        kind: Literal["cosface", "arcface"] = "cosface",
        margin: float = 0.35,
        scale: float = 30.0,
    ) -> None:
        """Give each of `people` persons a random direction in `dimension` dimensions."""
        super().__init__()
        self.directions = nn.Parameter(torch.randn(people, dimension))
        self.kind, self.margin, self.scale = kind, margin, scale

    def forward(self, vectors: Tensor, persons: Tensor) -> Tensor:
        """Return the mean loss of `vectors` (B, D) of length 1 of `persons` (B,); 0 if no person is known."""
        known = persons != NOT_KNOWN
        if not known.any():
            return vectors.sum() * 0
        cosines = vectors[known] @ F.normalize(self.directions, dim=1).T
        right = F.one_hot(persons[known], len(self.directions)).bool()
        harder = cosines - self.margin
        if self.kind == "arcface":
            angles = torch.acos(cosines.clamp(-1 + 1e-6, 1 - 1e-6))
            # Past π the cosine would rise again; like ArcFace's authors, continue downwards with a line.
            harder = torch.where(
                angles + self.margin < math.pi,
                torch.cos(angles + self.margin),
                cosines - self.margin * math.sin(math.pi - self.margin),
            )
        return F.cross_entropy(self.scale * torch.where(right, harder, cosines), persons[known])


def teacher_loss(vectors: Tensor, taught: Tensor) -> Tensor:
    """Return the mean of 1 - cosine between `vectors` and the teacher's, both (B, D) of length 1.

    A row of zeros in `taught` marks a face without a teacher's vector, which does not count.
    """
    known = taught.any(dim=1)
    if not known.any():
        return vectors.sum() * 0
    return (1 - (vectors[known] * taught[known]).sum(dim=1)).mean()


def likeness_loss(vectors: Tensor, taught: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of similarities to `others` (N, D), with the teacher's as targets.

    Vectors that are merely close to the teacher's may encode only what most faces have in common. This loss
    compares each face with all faces that the teacher knows, itself included, and requires the same
    distribution of similarities that the teacher's vector has (SEED, Fang et al., ICLR 2021). A row of zeros
    in `taught` (B, D) marks a face without a teacher's vector, which does not count.
    """
    known = taught.any(dim=1)
    if not known.any():
        return vectors.sum() * 0
    wanted = F.softmax(taught[known] @ others.T / temperature, dim=1)
    return F.cross_entropy(vectors[known] @ others.T / temperature, wanted)
