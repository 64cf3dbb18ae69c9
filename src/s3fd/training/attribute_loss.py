"""Loss of an attribute, computed only where there is a face."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from s3fd.data.labels import NOT_KNOWN


def where_faces(targets: Tensor, face_scores: Tensor, min_score: float) -> Tensor:
    """Keep `targets` (B, A) where the face score (B, A) is at least `min_score`; elsewhere `NOT_KNOWN`."""
    return torch.where(face_scores >= min_score, targets, NOT_KNOWN)


def attribute_loss(
    logits: Tensor, targets: Tensor, kind: Literal["cross_entropy", "binary"], balanced: bool = False
) -> Tensor:
    """Sum the loss of `logits` (B, A, classes) over the anchors that have a target (B, A) class.

    ``binary`` treats every class as a separate yes-or-no question. `balanced` averages over the anchors of a
    picture, so that one large face counts as much as a crowd.
    """
    counted = targets != NOT_KNOWN
    chosen, wanted = logits[counted].float(), targets[counted].long()
    if kind == "binary":
        one_hot = F.one_hot(wanted, logits.shape[-1]).to(chosen.dtype)
        each = F.binary_cross_entropy_with_logits(chosen, one_hot, reduction="none").sum(dim=-1)
    else:
        each = F.cross_entropy(chosen, wanted, reduction="none")
    if balanced:
        each = each / counted.sum(dim=1, keepdim=True).expand_as(counted)[counted]
    return each.sum()
