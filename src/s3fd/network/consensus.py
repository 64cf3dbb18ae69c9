"""What the cells around a face's say of it, together."""

from __future__ import annotations

from itertools import accumulate

import torch.nn.functional as F
from torch import Tensor

from s3fd.network.heads import face_scores
from s3fd.network.layer_logits import LayerLogits

LEAST_SCORE = 1e-12
"""What face scores are divided by is not taken for less."""


def consensus(answers: LayerLogits, logits: Tensor) -> LayerLogits:
    """Let each cell answer with the mean of the 3 × 3 cells around it, weighted by their face scores.

    A face is about four cells wide on the layer that finds it, so that these cells look at one face.

    Args:
        answers: of an attribute.
        logits: (B, A, 2), background and face, of the detector.
    """
    starts = [0, *accumulate(height * width for height, width in answers.map_sizes)]
    own: dict[int, Tensor] = {}
    for layer, x in answers.own.items():
        scores = face_scores(logits[:, starts[layer] : starts[layer + 1]])
        weight = scores.reshape(-1, 1, *answers.map_sizes[layer])
        total = F.avg_pool2d(weight, 3, stride=1, padding=1).clamp(min=LEAST_SCORE)
        own[layer] = F.avg_pool2d(x * weight, 3, stride=1, padding=1) / total
    return LayerLogits(own, answers.map_sizes)
