"""Which face of a picture stands for a person, and why a picture is refused."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from s3fd import boxes
from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.crops import square_crops
from s3fd.inference.pictures import Pixels

MIN_SIZE = 32.0
"""Least shorter side of a face in pixels: recognisers see 112, and an enlargement of less holds little."""

MIN_SHARPNESS = 20.0
"""Least `sharpness`: none of 151 faces of LFW has less, and three in four do once they are blurred by a
fiftieth of their size (``benchmarks/sharpness.py``)."""

MIN_SCORE = 0.7
"""Least score of a face that stands for somebody, unless told otherwise: something that may be none must not.
By judgement, between the detector's default and the 0.9 of clear portraits."""

BESIDE = 0.5
"""A second face with a side of so much of the largest one's leaves open whose picture it is."""

SAME_FACE = 0.5
"""Least overlap (intersection over union) of a face's box with the one that is asked for, as a detection
must have with an annotated face in WIDER FACE's protocol."""

SHARPNESS_SIZE = 112


class Refusal(ValueError):
    """A picture that cannot stand for a person; the message says why."""


@dataclass(frozen=True)
class Quality:
    """What an enrolled face must have; see the constants of this module."""

    min_size: float = MIN_SIZE
    min_sharpness: float = MIN_SHARPNESS
    min_score: float = MIN_SCORE


def sharpness(picture: Pixels, faces: Faces) -> list[float]:
    """Variance of the Laplacian of each face in grey, at 112 pixels a side: little where it is blurred."""
    crops = square_crops(picture, faces.boxes, SHARPNESS_SIZE)
    return [float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var()) for crop in crops]


def only_face(picture: Pixels, faces: Faces, quality: Quality | None = None) -> Faces:
    """The one face that a picture shows of a person: the largest, if others are much smaller.

    Raises:
        Refusal: there is none, a second one, or it is too small, unsure or too blurred.
    """
    quality = quality or Quality()
    if not len(faces):
        raise Refusal("no face")
    order = (-faces.sizes).argsort(kind="stable")
    face = faces[order[:1]]
    if len(faces) > 1 and faces.sizes[order[1]] >= BESIDE * face.sizes[0]:
        beside = int((faces.sizes >= BESIDE * face.sizes[0]).sum())
        raise Refusal(f"{beside} faces: whose picture is it?")
    _check(picture, face, quality)
    return face


def face_in(picture: Pixels, faces: Faces, box: FloatArray, quality: Quality | None = None) -> Faces:
    """The face of a picture whose box is `box` (4,), xyxy in pixels, or nearly; whoever is beside it.

    Raises:
        Refusal: there is none, or it is too small, unsure or too blurred.
    """
    overlaps = boxes.iou(faces.boxes, box[None])[:, 0]
    if overlaps.max(initial=0) < SAME_FACE:
        raise Refusal("no face in this box")
    face = faces[int(overlaps.argmax())]
    _check(picture, face, quality or Quality())
    return face


def _check(picture: Pixels, face: Faces, quality: Quality) -> None:
    """Raise Refusal if a face, the only one of `face`, is not good enough."""
    shorter = float((face.boxes[0, 2:] - face.boxes[0, :2]).min())
    if shorter < quality.min_size:
        raise Refusal(f"the face is too small: {shorter:.0f} pixels of {quality.min_size:.0f}")
    if face.scores[0] < quality.min_score:
        raise Refusal(f"perhaps no face: score {face.scores[0]:.2f} of {quality.min_score:.2f}")
    (sharp,) = sharpness(picture, face)
    if sharp < quality.min_sharpness:
        raise Refusal(f"the face is too blurred: sharpness {sharp:.0f} of {quality.min_sharpness:.0f}")
