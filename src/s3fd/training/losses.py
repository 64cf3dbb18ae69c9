"""The detection loss (paper, section 3.4): hard-negative cross-entropy and smooth L1."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from s3fd.network.heads import Predictions

NEGATIVES_PER_POSITIVE = 3
"""Hard negatives kept for each face anchor (paper: 3:1)."""

MIN_NEGATIVES = 32
"""Hard negatives kept in a picture without faces, so that it teaches something."""


class Losses(NamedTuple):
    """Scalar losses of a batch: `total` is what is minimised."""

    total: Tensor
    classification: Tensor
    box: Tensor


def detection_loss(predictions: Predictions, labels: Tensor, deltas: Tensor) -> Losses:
    """Compare predictions with targets.

    The sums over face anchors and hard negatives, and over face anchors, are both divided by the number of
    face anchors in the batch. With three negatives a positive this is the paper's λ = 4 on a classification
    term that is divided by positives and negatives.

    Args:
        predictions: the network's output.
        labels: (B, A): 1 face, 0 background, -1 not trained.
        deltas: (B, A, 4): coded boxes; only the rows of face anchors are read.
    """
    positive = labels == 1
    count = positive.sum().clamp(min=1)
    cross_entropy = F.cross_entropy(
        predictions.logits.float().transpose(1, 2), labels.clamp(min=0).long(), reduction="none"
    )
    kept = positive | hard_negatives(cross_entropy.detach(), labels)
    classification = cross_entropy[kept].sum() / count
    box = F.smooth_l1_loss(predictions.deltas[positive].float(), deltas[positive], reduction="sum") / count
    return Losses(classification + box, classification, box)


def hard_negatives(loss: Tensor, labels: Tensor) -> Tensor:
    """Mask (B, A) of each picture's background anchors with the largest `loss` (B, A), three a positive."""
    positives = (labels == 1).sum(dim=1, keepdim=True)
    wanted = (positives * NEGATIVES_PER_POSITIVE).clamp(min=MIN_NEGATIVES)
    negative = labels == 0
    candidates = loss.masked_fill(~negative, -torch.inf)
    rank = candidates.argsort(dim=1, descending=True).argsort(dim=1)
    return negative & (rank < wanted)
