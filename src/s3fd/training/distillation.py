"""Distillation: backbone stages can learn something new while the detector keeps its predictions."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s3fd.network.slim import Slim

LEAST_VARIANCE = 1e-4
"""Lower bound on the variance of a teacher's channel, by which the squared error is divided."""


class Distillation:
    """Distance between a backbone's maps and those of a teacher, which is copied on construction.

    The stages before `first` are not trained, and neither are the layers after the fused maps: smoothing and
    heads. If the fused maps from stage `first` on are unchanged, then so are the finer ones, since each is
    made from a stage and the next coarser map. All predictions of the detector then stay the same.
    """

    def __init__(self, backbone: Slim, teacher: Slim | None = None, first: int = 2) -> None:
        """Keep a copy of `teacher`, or of `backbone` if None; both have the same stages before `first`.

        `first` is at least 1, the stage at stride 8.
        """
        self._student = backbone
        self._teacher = copy.deepcopy(teacher or backbone).eval().requires_grad_(False)
        self._first = first

    def learning(self) -> nn.Module:
        """Return the parts to train: the stages from `first` on and their lateral convolutions."""
        stages, laterals = list(self._student.stages), list(self._student.lateral)
        return nn.ModuleList([*stages[self._first :], *laterals[self._first :]])

    def __call__(self, stages: Sequence[Tensor]) -> Tensor:
        """Return the mean squared error for the student's `stages`, relative to each channel's variance."""
        with torch.no_grad():
            before = self._teacher.climb(list(stages[: self._first]))
            wanted = self._teacher.fuse(before, self._first)
        given = self._student.fuse(stages, self._first)
        return torch.stack(
            [_distance(a.float(), b.float()) for a, b in zip(given, wanted, strict=True)]
        ).mean()


def _distance(given: Tensor, wanted: Tensor) -> Tensor:
    """Return squared error divided by variance, averaged over the channels of (B, C, H, W) maps."""
    over = (0, 2, 3)
    error = (given - wanted).square().mean(over)
    return (error / wanted.var(over, unbiased=False).clamp(min=LEAST_VARIANCE)).mean()
