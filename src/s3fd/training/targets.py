"""Training targets of a picture's anchors, from its faces and the method of anchor assignment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.labels import NOT_KNOWN
from s3fd.training.alignment import Candidates
from s3fd.training.config import MatchingConfig
from s3fd.training.matching import FACE, IGNORED, candidates, match, near_ignored


class DetectionTargets(NamedTuple):
    """Targets of one picture with A anchors.

    Attributes:
        labels: (A,) int8, see `s3fd.training.matching`; no face if anchors are assigned during training.
        deltas: (A, 4) float32: encoded boxes of face anchors; zero elsewhere.
        candidates: each face's candidate anchors if anchors are assigned during training; empty otherwise.
    """

    labels: Tensor
    deltas: Tensor
    candidates: Candidates


class TargetMaker:
    """Make the targets of pictures of a fixed size."""

    def __init__(self, size: int, config: MatchingConfig) -> None:
        """Prepare for pictures of `size` × `size`; layers before `config.first_layer` are not trained."""
        sizes = anchor_ops.map_sizes(size, size)
        self.config = config
        self.anchors = anchor_ops.anchors(sizes)
        self._first = sum(height * width for height, width in sizes[: config.first_layer])

    def __call__(self, boxes: FloatArray, ignored: NDArray[np.bool_]) -> DetectionTargets:
        """Make targets for `boxes` (N, 4) in pixels; `ignored` ones (N,) are neither face nor background."""
        labels = np.full(len(self.anchors), IGNORED, np.int8)
        deltas = np.zeros((len(self.anchors), 4), np.float32)
        first = self._first
        if self.config.method == "aligned":
            labels[first:] = near_ignored(boxes[ignored], self.anchors[first:])
            given = self._candidates(boxes[~ignored])
        else:
            labels[first:], deltas[first:] = self._match(boxes, ignored)
            given = self._candidates(boxes[:0])
        return DetectionTargets(torch.from_numpy(labels), torch.from_numpy(deltas), given)

    def _match(self, boxes: FloatArray, ignored: NDArray[np.bool_]) -> tuple[NDArray[np.int8], FloatArray]:
        """Return labels and encoded boxes, matched by scale compensation."""
        anchors = self.anchors[self._first :]
        matched = match(
            boxes,
            ignored,
            anchors,
            match_iou=self.config.match_iou,
            compensation_iou=self.config.compensation_iou,
            anchors_per_face=self.config.anchors_per_face,
        )
        face = matched.labels == FACE
        deltas = np.zeros((len(anchors), 4), np.float32)
        deltas[face] = box_ops.encode(boxes[matched.matched[face]], anchors[face])
        return matched.labels, deltas

    def _candidates(self, faces: FloatArray) -> Candidates:
        """Return the candidate anchors of each face."""
        count = self.config.candidates
        anchors = self.anchors[self._first :]
        rows = candidates(faces, anchors, compensation_iou=self.config.compensation_iou, count=count)
        rows[rows >= 0] += self._first
        each = np.repeat(faces, count, axis=0)
        coded = box_ops.encode(each, self.anchors[rows.clip(min=0).ravel()]).reshape(*rows.shape, 4)
        return Candidates(torch.from_numpy(rows), torch.from_numpy(coded))


def label_anchors(
    boxes: FloatArray, ignored: NDArray[np.bool_], labels: NDArray[np.int64], anchors: FloatArray
) -> NDArray[np.int64]:
    """Give each of `anchors` (A, 4) the label (N,) of the box (N, 4) it is matched with, or `NOT_KNOWN`."""
    targets = np.full(len(anchors), NOT_KNOWN, np.int64)
    matched = match(boxes, ignored, anchors)
    faces = matched.labels == FACE
    targets[faces] = labels[matched.matched[faces]]
    return targets
