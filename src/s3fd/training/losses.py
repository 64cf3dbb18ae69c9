"""The detection loss (paper, section 3.4): cross-entropy with hard-negative mining, and smooth L1."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from s3fd.boxes import MAX_LOG_SIZE, VARIANCES
from s3fd.network.heads import Predictions

NEGATIVES_PER_POSITIVE = 3
"""Hard negatives kept per face anchor (paper: 3:1)."""

MIN_NEGATIVES = 32
"""Minimum number of hard negatives kept per picture, so that a picture without faces contributes."""


class Losses(NamedTuple):
    """Scalar losses of a batch; `total` is the one to minimise."""

    total: Tensor
    classification: Tensor
    box: Tensor


def detection_loss(
    predictions: Predictions,
    labels: Tensor,
    deltas: Tensor,
    *,
    quality: bool = False,
    giou_weight: float = 0.0,
    focal: bool = False,
    scores: Tensor | None = None,
    faces: Tensor | None = None,
) -> Losses:
    """Compute the detection loss of predictions.

    The classification loss is summed over face anchors and hard negatives, the box loss over face anchors.
    Both are divided by the number of face anchors in the batch. With three negatives per positive, this
    equals the paper's λ = 4 with a classification term divided by the number of positives and negatives;
    pictures with few faces have more negatives (`MIN_NEGATIVES`).

    Args:
        predictions: the network's output.
        labels: (B, A): 1 face, 0 background, -1 not trained.
        deltas: (B, A, 4): encoded boxes; only the rows of face anchors are read.
        quality: whether a face anchor's target score is the IoU of its predicted box, instead of 1, so that
            the best of several boxes on a face scores highest (Li et al., Generalized Focal Loss, 2020).
        giou_weight: if positive, generalised IoU with this weight replaces smooth L1 (Rezatofighi et al.,
            2019).
        focal: whether every anchor's cross-entropy is weighted by its squared error (quality focal loss, in
            the paper of `quality`), instead of keeping face anchors and hard negatives at full weight.
        scores: (B, A): target scores, instead of 1 or the IoU for face anchors and 0 elsewhere.
        faces: number of face anchors of the whole batch, if the predictions are for a part of it.
    """
    positive = labels == 1
    count = (positive.sum() if faces is None else faces).clamp(min=1)
    found, wanted = predictions.deltas[positive].float(), deltas[positive]
    iou, giou = box_overlap(found, wanted)
    target = positive.float()
    if scores is not None:
        target = scores
    elif quality:
        target[positive] = iou.detach().to(target.dtype)
    logits = predictions.logits.float()
    margin = logits[..., 1] - logits[..., 0]  # the softmax of two classes is a sigmoid of this
    cross_entropy = F.binary_cross_entropy_with_logits(margin, target, reduction="none")
    if focal:
        error = (margin.sigmoid() - target) ** 2
        classification = (cross_entropy * error * (labels >= 0)).sum() / count
    else:
        kept = positive | hard_negatives(cross_entropy.detach(), labels)
        classification = cross_entropy[kept].sum() / count
    if giou_weight:
        box = giou_weight * (1 - giou).sum() / count
    else:
        box = F.smooth_l1_loss(found, wanted, reduction="sum") / count
    return Losses(classification + box, classification, box)


def box_overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU (N,) of encoded boxes `a` and `b` (N, 4), row by row.

    Anchors are square, so that overlaps are the same in units of the anchor, which need not be known.
    """
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    shared = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(dim=1)
    union = (a_high - a_low).prod(dim=1) + (b_high - b_low).prod(dim=1) - shared
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(dim=1)
    iou = shared / union
    return iou, iou - (hull - union) / hull


def _corners(deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return top left and bottom right (N, 2) of encoded boxes, relative to the anchor's centre and side."""
    centre = deltas[:, :2] * VARIANCES[0]
    half = torch.exp((deltas[:, 2:] * VARIANCES[1]).clamp(max=MAX_LOG_SIZE)) / 2
    return centre - half, centre + half


def hard_negatives(loss: Tensor, labels: Tensor) -> Tensor:
    """Return a mask (B, A) of each picture's background anchors with the largest `loss` (B, A).

    There are three for each positive, and at least `MIN_NEGATIVES`.
    """
    positives = (labels == 1).sum(dim=1, keepdim=True)
    wanted = (positives * NEGATIVES_PER_POSITIVE).clamp(min=MIN_NEGATIVES)
    negative = labels == 0
    most = min(int(wanted.max()), loss.shape[1])  # a small part of the anchors: sorting all takes longer
    hardest = loss.masked_fill(~negative, -torch.inf).topk(most, dim=1).indices
    chosen = torch.arange(most, device=loss.device) < wanted
    return negative & torch.zeros_like(negative).scatter(1, hardest, chosen)
