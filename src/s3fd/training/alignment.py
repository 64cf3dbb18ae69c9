"""Task-aligned assignment: a face is assigned the anchors whose predicted score and box fit it best.

The method is that of Feng et al., TOOD (ICCV 2021), section 3.2, among the candidates that S³FD's scale
compensation would allow. Matching by anchors alone also gives a face anchors that lie between it and its
neighbour, and demands a high score for a box that fits neither. Here such an anchor is background.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from s3fd.network.heads import Predictions, face_scores
from s3fd.training.losses import box_overlap

SCORE_POWER = 1.0
"""Exponent of the score in the alignment metric (TOOD: 1)."""

OVERLAP_POWER = 6.0
"""Exponent of the IoU in the alignment metric (TOOD: 6)."""


class Candidates(NamedTuple):
    """The candidate anchors of each face of a batch.

    Attributes:
        anchors: (F, K) int64 rows of the batch's anchors, flattened to B · A; -1 for none.
        deltas: (F, K, 4) the face's box, encoded relative to each anchor.
    """

    anchors: Tensor
    deltas: Tensor


class Aligned(NamedTuple):
    """Training target of every anchor, like `s3fd.training.matching.Targets`, with a score in 0–1.

    Attributes:
        labels: (B, A) int8: 1 face, 0 background, -1 not trained.
        scores: (B, A) float32: target scores of face anchors, 0 elsewhere.
        deltas: (B, A, 4) encoded boxes of face anchors, 0 elsewhere.
    """

    labels: Tensor
    scores: Tensor
    deltas: Tensor


@torch.no_grad()
def align(predictions: Predictions, candidates: Candidates, labels: Tensor, anchors_per_face: int) -> Aligned:
    """Assign each face the `anchors_per_face` candidates with the largest score¹ · IoU⁶.

    If two faces compete for an anchor, it goes to the one that its predicted box overlaps more. An anchor's
    target score is its metric, scaled so that the largest of a face is the largest IoU among its anchors.
    `labels` (B, A) marks with -1 the anchors that are not to be trained.
    """
    flat = labels.flatten().clone()
    scores = torch.zeros(flat.shape, dtype=torch.float32, device=flat.device)
    deltas = torch.zeros(len(flat), 4, device=flat.device)
    if candidates.anchors.numel():
        exists = candidates.anchors >= 0
        rows = candidates.anchors.clamp(min=0)
        logits = predictions.logits.float().flatten(0, 1)[rows]
        found = predictions.deltas.float().flatten(0, 1)[rows]
        overlap = box_overlap(found.flatten(0, 1), candidates.deltas.flatten(0, 1))[0].view_as(rows)
        overlap = overlap.clamp(min=1e-3) * exists
        metric = face_scores(logits) ** SCORE_POWER * overlap**OVERLAP_POWER
        chosen = torch.zeros_like(exists)
        chosen.scatter_(1, metric.topk(min(anchors_per_face, rows.shape[1]), dim=1).indices, True)
        chosen &= exists
        most = scores.scatter_reduce(0, rows[chosen], overlap[chosen], "amax")
        chosen &= overlap >= most[rows]
        metric, overlap = metric * chosen, overlap * chosen
        best = metric.amax(dim=1, keepdim=True).clamp(min=torch.finfo(metric.dtype).tiny)
        target = metric / best * overlap.amax(dim=1, keepdim=True)
        flat[rows[chosen]] = 1
        scores[rows[chosen]] = target[chosen]
        deltas[rows[chosen]] = candidates.deltas[chosen]
    return Aligned(flat.view_as(labels), scores.view_as(labels), deltas.view(*labels.shape, 4))
