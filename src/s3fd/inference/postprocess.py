"""Select the faces of a picture from the scores and boxes of all anchors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.inference.suppression import IOU, suppress

BEFORE_NMS = 5000
"""Most boxes that enter suppression, the best ones. S³FD's demo publishes 400, too few for a crowd of
hundreds, where several anchors find each face; 5,000 is what RetinaFace and YuNet publish."""

AFTER_NMS = 750
"""Most faces of a picture: what S³FD's WIDER FACE evaluation keeps (its demo keeps 200)."""


def select(
    scores: FloatArray,
    boxes: FloatArray,
    *,
    min_score: float,
    iou: float = IOU,
    before_nms: int = BEFORE_NMS,
    after_nms: int = AFTER_NMS,
    attributes: Mapping[str, FloatArray] = MappingProxyType({}),
) -> Faces:
    """Threshold the scores, keep the best boxes, and suppress overlapping ones.

    Args:
        scores: (A,) in 0–1.
        boxes: (A, 4) xyxy in pixels.
        min_score: only scores over it are kept; at 0, every score over 0.
        iou: of two boxes whose IoU is over this, the one with the lower score is removed.
        before_nms: most boxes that enter suppression.
        after_nms: most boxes that are left after it.
        attributes: (A, …) additional columns, such as class probabilities, by name.

    Returns:
        Faces, best score first, with the rows of `attributes` that belong to them.
    """
    candidates = best(scores, min_score, before_nms)
    kept = candidates[suppress(scores[candidates], boxes[candidates], iou, after_nms)]
    return Faces(boxes[kept], scores[kept], {name: column[kept] for name, column in attributes.items()})


def best(scores: FloatArray, min_score: float, count: int) -> NDArray[np.intp]:
    """Indices, in no particular order, of the `count` highest scores over `min_score`."""
    candidates = np.flatnonzero(scores > min_score)
    if len(candidates) > count:
        candidates = candidates[np.argpartition(scores[candidates], -count)[-count:]]
    return candidates
