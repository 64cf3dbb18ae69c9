"""Scale-compensation anchor matching (paper, section 3.2): which anchors are assigned to which face."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray

MATCH_IOU = 0.35
"""Stage 1: an anchor with at least this IoU is matched with its best face (paper: 0.35; SSD: 0.5)."""

COMPENSATION_IOU = 0.1
"""Stage 2: anchors above this IoU may be given to a face that has too few."""

ANCHORS_PER_FACE = 6
"""Stage 2 gives a face up to this many anchors, the average after stage 1 (the author's implementation)."""

IGNORE_IOU = 0.05
"""A background anchor whose IoU with an ignored face exceeds this is excluded from training."""

FACE, BACKGROUND, IGNORED = 1, 0, -1


class Targets(NamedTuple):
    """Training target of every anchor.

    Attributes:
        labels: (A,) int8: 1 face, 0 background, -1 not trained.
        matched: (A,) int64: row of the face that a face anchor is matched with; 0 elsewhere.
    """

    labels: NDArray[np.int8]
    matched: NDArray[np.int64]


def match(
    boxes: FloatArray,
    ignored: NDArray[np.bool_],
    anchors: FloatArray,
    *,
    match_iou: float = MATCH_IOU,
    compensation_iou: float = COMPENSATION_IOU,
    anchors_per_face: int = ANCHORS_PER_FACE,
) -> Targets:
    """Match `anchors` (A, 4) with faces `boxes` (N, 4); both xyxy in pixels.

    Stage 1: an anchor is matched with its best face if their IoU is at least `match_iou`, and every face is
    matched with its best anchor, even if that overlaps another face more. Stage 2: a face with fewer than
    `anchors_per_face` anchors receives the best unmatched anchors above `compensation_iou`, of equal ones the
    nearest to its centre. If an anchor is the best of two faces, or two choose it in stage 2, the larger IoU
    wins. `anchors_per_face` = 0 disables stage 2.

    Faces in `ignored` (N,) are not matched; anchors near them (`near_ignored`) are not trained as background.
    """
    targets = Targets(np.zeros(len(anchors), np.int8), np.zeros(len(anchors), np.int64))
    faces = np.flatnonzero(~ignored)
    if len(faces):
        iou = box_ops.iou(boxes[faces], anchors)
        owner = _first_stage(iou, match_iou)
        if anchors_per_face:
            _second_stage(iou, boxes[faces], anchors, owner, compensation_iou, anchors_per_face)
        taken = owner >= 0
        targets.labels[taken] = FACE
        targets.matched[taken] = faces[owner[taken]]
    if ignored.any():
        near = near_ignored(boxes[ignored], anchors) == IGNORED
        targets.labels[near & (targets.labels == BACKGROUND)] = IGNORED
    return targets


def near_ignored(ignored: FloatArray, anchors: FloatArray) -> NDArray[np.int8]:
    """Label `anchors` (A, 4) as background, or as not trained near `ignored` boxes (N, 4): shape (A,).

    Near is an IoU over `IGNORE_IOU`: no anchor is near a box that is much smaller or larger than all anchors.
    """
    if not len(ignored):
        return np.zeros(len(anchors), np.int8)
    near = (box_ops.iou(ignored, anchors) > IGNORE_IOU).any(axis=0)
    return np.where(near, IGNORED, BACKGROUND).astype(np.int8)


def candidates(
    boxes: FloatArray,
    anchors: FloatArray,
    *,
    compensation_iou: float = COMPENSATION_IOU,
    count: int = 24,
) -> NDArray[np.int64]:
    """Find each face's candidate anchors, largest IoU first: (N, count) rows of `anchors`, -1 for none.

    Of anchors with equal IoU, the nearest to the face's centre comes first. Candidates have an IoU of at
    least `compensation_iou`. A face whose size or shape leaves it without any gets its best anchor.
    """
    found = np.full((len(boxes), count), -1, np.int64)
    if not len(boxes):
        return found
    iou = box_ops.iou(boxes, anchors)
    best = _best(iou, boxes, anchors, count)
    near = np.take_along_axis(iou, best, axis=1) >= compensation_iou
    near[:, 0] = True
    found[:, : best.shape[1]] = np.where(near, best, -1)
    return found


def _first_stage(iou: FloatArray, match_iou: float) -> NDArray[np.int64]:
    """Match anchors from an IoU table (faces, anchors); returns each anchor's row of the faces, or -1."""
    owner: NDArray[np.int64] = iou.argmax(axis=0)
    owner[iou.max(axis=0) < match_iou] = -1
    best_anchor = iou.argmax(axis=1)
    _give(owner, np.arange(len(iou)), best_anchor, iou.max(axis=1))
    return owner


def _second_stage(
    iou: FloatArray,
    boxes: FloatArray,
    anchors: FloatArray,
    owner: NDArray[np.int64],
    compensation_iou: float,
    wanted: int,
) -> None:
    """Assign further anchors, in place, to the faces that own fewer than `wanted`."""
    owned = np.bincount(owner[owner >= 0], minlength=len(iou))
    poor = np.flatnonzero(owned < wanted)
    free = np.where(owner < 0, iou[poor], 0)
    best = _best(free, boxes[poor], anchors, wanted)
    overlap = np.take_along_axis(free, best, axis=1)
    missing = wanted - owned[poor]
    chosen = (overlap > compensation_iou) & (np.arange(best.shape[1]) < missing[:, None])
    rows, _ = np.nonzero(chosen)
    _give(owner, poor[rows], best[chosen], overlap[chosen])


def _best(iou: FloatArray, boxes: FloatArray, anchors: FloatArray, count: int) -> NDArray[np.int64]:
    """Return rows of `anchors` with the `count` largest entries of `iou` for each of `boxes`, largest first.

    All anchors around a small face, and all inside a large one, have equal IoU; those nearest to its centre
    come first. NumPy's own order of equal entries depends on the processor.
    """
    count = min(count, len(anchors))
    least = np.partition(iou, -count, axis=1)[:, -count]
    best = np.empty((len(boxes), count), np.int64)
    for row, box, enough, chosen in zip(iou, boxes, least, best, strict=True):
        found = np.flatnonzero(row >= enough)
        offset = (anchors[found, :2] + anchors[found, 2:]) - (box[:2] + box[2:])
        chosen[:] = found[np.lexsort((np.square(offset).sum(axis=1), -row[found]))[:count]]
    return best


def _give(
    owner: NDArray[np.int64], faces: NDArray[np.int64], anchors: NDArray[np.int64], overlap: FloatArray
) -> None:
    """Make each of `faces` the owner of its entry of `anchors`; the largest overlap wins a shared anchor."""
    order = np.argsort(overlap, kind="stable")
    owner[anchors[order]] = faces[order]
