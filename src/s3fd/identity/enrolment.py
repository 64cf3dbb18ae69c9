"""Enrolment: select the face in a picture that represents a person, or refuse the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2

from s3fd import boxes
from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.crops import square_crops
from s3fd.inference.pictures import Pixels

MIN_SIZE = 32.0
"""Minimum shorter side of a face in pixels: recognisers typically see 112, and a smaller face holds little
detail when it is enlarged."""

MIN_SHARPNESS = 20.0
"""Minimum `sharpness`. None of 151 LFW faces has less; three in four fall below it after a Gaussian blur with
a standard deviation of a fiftieth of their size (``benchmarks/sharpness.py``)."""

MIN_SCORE = 0.7
"""Default minimum score of a face to enrol, so that false positives are not enrolled. Chosen by judgement,
between the detector's default and the 0.9 of clear portraits."""

BESIDE = 0.5
"""Size of a second face, relative to the largest one, from which it is ambiguous whose picture it is."""

SAME_FACE = 0.5
"""Minimum IoU of a face's box with the requested box, the same as between a detection and an annotated face
in WIDER FACE's protocol."""

SHARPNESS_SIZE = 112


class Refusal(ValueError):
    """Raised for a picture that cannot be enrolled; the message says why."""


@dataclass(frozen=True)
class Quality:
    """Minimum quality of an enrolled face; see the constants of this module."""

    min_size: float = MIN_SIZE
    min_sharpness: float = MIN_SHARPNESS
    min_score: float = MIN_SCORE


def sharpness(picture: Pixels, faces: Faces) -> list[float]:
    """Return the variance of the Laplacian of each face, in grey at 112 × 112 pixels.

    The value is low for blurred faces.
    """
    crops = square_crops(picture, faces.boxes, SHARPNESS_SIZE)
    return [float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var()) for crop in crops]


def only_face(picture: Pixels, faces: Faces, quality: Quality | None = None) -> Faces:
    """Return the one face in a picture of a person: the largest, if all others are much smaller.

    Raises:
        Refusal: there is no face, there is a second large one, or the face is too small, too blurred or
            scores too low.
    """
    quality = quality or Quality()
    if not len(faces):
        raise Refusal("no face")
    order = (-faces.sizes).argsort(kind="stable")
    face = faces[order[:1]]
    if len(faces) > 1 and faces.sizes[order[1]] >= BESIDE * face.sizes[0]:
        beside = int((faces.sizes >= BESIDE * face.sizes[0]).sum())
        raise Refusal(f"{beside} faces: cannot tell which one is meant")
    _check(picture, face, quality)
    return face


def face_in(picture: Pixels, faces: Faces, box: FloatArray, quality: Quality | None = None) -> Faces:
    """Return the face whose box best matches `box` (4,), xyxy in pixels, regardless of other faces.

    Raises:
        Refusal: no face overlaps the box by `SAME_FACE` or more, or the face is too small, too blurred or
            scores too low.
    """
    overlaps = boxes.iou(faces.boxes, box[None])[:, 0]
    if overlaps.max(initial=0) < SAME_FACE:
        raise Refusal("no face in this box")
    face = faces[int(overlaps.argmax())]
    _check(picture, face, quality or Quality())
    return face


def _check(picture: Pixels, face: Faces, quality: Quality) -> None:
    """Raise Refusal if the single face in `face` is not good enough."""
    shorter, score = float((face.boxes[0, 2:] - face.boxes[0, :2]).min()), float(face.scores[0])
    if shorter < quality.min_size:
        raise Refusal(f"the face is too small: {_cut(shorter)} pixels, minimum {quality.min_size:g}")
    if score < quality.min_score:
        raise Refusal(f"possibly not a face: score {_cut(score, 2)}, minimum {quality.min_score:.2f}")
    (sharp,) = sharpness(picture, face)
    if sharp < quality.min_sharpness:
        raise Refusal(f"the face is too blurred: sharpness {_cut(sharp)}, minimum {quality.min_sharpness:g}")


def _cut(value: float, decimals: int = 0) -> str:
    """A number cut off after so many decimals: rounded, one under the minimum might read like it."""
    factor = 10**decimals
    return f"{math.floor(round(value * factor, 3)) / factor:.{decimals}f}"
