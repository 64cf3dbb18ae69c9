"""Box voting: merge overlapping boxes into their mean, where suppression would keep only the best one.

Gidaris and Komodakis (ICCV 2015), section 4.3, in the form that S³FD's authors use to merge the passes of
their multi-scale test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from s3fd import boxes
from s3fd.faces import Faces

IOU = 0.3
"""Smallest IoU at which two boxes belong to the same face (S³FD's WIDER FACE evaluation)."""


def vote(faces: Faces, iou: float = IOU, drop_singletons: bool = False) -> Faces:
    """Merge every group of overlapping boxes, best score first.

    The best remaining box gathers all boxes whose IoU with it is at least `iou`. The group becomes one face:
    the mean box, weighted by score, with the best box's score and attributes.

    Args:
        faces: the faces of one picture, in any order; scores are at least 0.
        iou: smallest IoU at which a box joins a group, 0–1.
        drop_singletons: leave out each box that no other box joined, as S³FD's authors do: with several
            passes over a picture, a face that only one of them found is usually a false positive.
    """
    order = np.argsort(-faces.scores, kind="stable")
    merged, best = [], []
    while len(order):
        group = boxes.iou(faces.boxes[order[:1]], faces.boxes[order])[0] >= iou
        group[0] = True  # even if the box is empty and overlaps nothing
        if not drop_singletons or group.sum() > 1:
            members = order[group]
            merged.append(_mean(faces[members]))
            best.append(order[0])
        order = order[~group]
    chosen = faces[np.array(best, dtype=np.intp)]
    return replace(chosen, boxes=np.array(merged, np.float32).reshape(-1, 4))


def _mean(group: Faces) -> boxes.FloatArray:
    """Mean of the boxes weighted by score, shape (4,); the weight of a score of 0 is too small to matter."""
    weights = np.maximum(group.scores.astype(np.float64), np.finfo(np.float32).tiny)
    mean: boxes.FloatArray = np.average(group.boxes, axis=0, weights=weights).astype(np.float32)
    return mean
