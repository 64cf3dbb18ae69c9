"""What an embedding is punished for: vectors that are not the teacher's, and people who are not apart."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.data.labels import NOT_KNOWN


class MarginLoss(nn.Module):
    """Softmax over cosines with the directions of all people, the right one made harder by a margin.

    CosFace (Wang et al., CVPR 2018) takes the margin from the cosine, ArcFace (Deng et al., CVPR 2019) adds
    it to the angle.
    """

    def __init__(
        self,
        people: int,
        dimension: int,
        kind: Literal["cosface", "arcface"] = "cosface",
        margin: float = 0.35,
        scale: float = 30.0,
    ) -> None:
        """Give each of `people` a random direction in `dimension` numbers."""
        super().__init__()
        self.directions = nn.Parameter(torch.randn(people, dimension))
        self.kind, self.margin, self.scale = kind, margin, scale

    def forward(self, vectors: Tensor, persons: Tensor) -> Tensor:
        """Mean loss of `vectors` (B, D) of length 1, of `persons` (B,); 0 if no person is known."""
        known = persons != NOT_KNOWN
        if not known.any():
            return vectors.sum() * 0
        cosines = vectors[known] @ F.normalize(self.directions, dim=1).T
        right = F.one_hot(persons[known], len(self.directions)).bool()
        harder = cosines - self.margin
        if self.kind == "arcface":
            angles = torch.acos(cosines.clamp(-1 + 1e-6, 1 - 1e-6))
            # Past π the cosine would rise again; the line goes on down as ArcFace's authors let it.
            harder = torch.where(
                angles + self.margin < math.pi,
                torch.cos(angles + self.margin),
                cosines - self.margin * math.sin(math.pi - self.margin),
            )
        return F.cross_entropy(self.scale * torch.where(right, harder, cosines), persons[known])


def teacher_loss(vectors: Tensor, taught: Tensor) -> Tensor:
    """Mean of 1 - cosine of `vectors` with the teacher's, (B, D) of length 1 each; a row of zeros is none."""
    known = taught.any(dim=1)
    if not known.any():
        return vectors.sum() * 0
    return (1 - (vectors[known] * taught[known]).sum(dim=1)).mean()


def likeness_loss(vectors: Tensor, taught: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of how alike faces are to `others` (N, D), by `vectors`, with what the teacher says.

    Vectors that only come near the teacher's may all say what most faces have in common. Here a face has to
    be found among the faces that the teacher knows, itself among them (SEED, Fang et al., ICLR 2021). A row
    of zeros of `taught` (B, D) is none.
    """
    known = taught.any(dim=1)
    if not known.any():
        return vectors.sum() * 0
    wanted = F.softmax(taught[known] @ others.T / temperature, dim=1)
    return F.cross_entropy(vectors[known] @ others.T / temperature, wanted)
