"""Distillation: stages of the backbone may learn something new while the detector says what it said."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s3fd.network.slim import Slim

LEAST_VARIANCE = 1e-4
"""Channels of the teacher that vary less are judged as if they varied this much."""


class Distillation:
    """The distance of a backbone's maps from those of a teacher, such as it was when this was made.

    The stages before the `first` do not learn, nor does what is behind the fused maps, smoothing and heads.
    So if the fused maps from that stage on stay as they were, so do the finer ones, each made of a stage and
    the next coarser map, and with them everything that the detector says.
    """

    def __init__(self, backbone: Slim, teacher: Slim | None = None, first: int = 2) -> None:
        """Keep a copy of `teacher`, or of `backbone` itself; both have the same stages before the `first`.

        `first` is 1, the stage at stride 8, or more.
        """
        self._student = backbone
        self._teacher = copy.deepcopy(teacher or backbone).eval().requires_grad_(False)
        self._first = first

    def learning(self) -> nn.Module:
        """The parts that may learn: the stages from the first on, and their way into the fused maps."""
        stages, laterals = list(self._student.stages), list(self._student.lateral)
        return nn.ModuleList([*stages[self._first :], *laterals[self._first :]])

    def __call__(self, stages: Sequence[Tensor]) -> Tensor:
        """Distance for the student's `stages`: mean squared error, as a share of each channel's variance."""
        with torch.no_grad():
            before = self._teacher.climb(list(stages[: self._first]))
            wanted = self._teacher.fuse(before, self._first)
        given = self._student.fuse(stages, self._first)
        return torch.stack(
            [_distance(a.float(), b.float()) for a, b in zip(given, wanted, strict=True)]
        ).mean()


def _distance(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the channels of (B, C, H, W) maps of squared error over variance."""
    over = (0, 2, 3)
    error = (given - wanted).square().mean(over)
    return (error / wanted.var(over, unbiased=False).clamp(min=LEAST_VARIANCE)).mean()
