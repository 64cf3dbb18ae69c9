from __future__ import annotations

import cv2
import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.identity.enrolment import Quality, Refusal, only_face, sharpness

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
LARGE, HALF, SMALL = [10, 10, 90, 90], [100, 100, 140, 140], [100, 100, 139, 139]


def faces(*boxes: list[int], score: float = 0.9) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), score, np.float32))


def test_the_largest_stands_for_the_person_if_others_are_much_smaller() -> None:
    assert only_face(NOISE, faces(SMALL, LARGE)).boxes.tolist() == [LARGE]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (faces(), "no face"),
        (faces(HALF, LARGE), "2 faces: whose picture is it"),
        (faces(LARGE, score=0.69), "perhaps no face: score 0.69 of 0.70"),
        (faces([10, 10, 90, 41]), "too small: 31 pixels of 32"),
    ],
)
def test_refusals_say_why(found: Faces, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        only_face(NOISE, found)


def test_blur_is_refused_and_the_limit_can_be_changed() -> None:
    blurred = np.asarray(cv2.GaussianBlur(NOISE, (0, 0), 8), np.uint8)
    (before,), (after,) = sharpness(NOISE, faces(LARGE)), sharpness(blurred, faces(LARGE))
    assert before > 1000 and after < 20
    with pytest.raises(Refusal, match=r"too blurred: sharpness \d+ of 20"):
        only_face(blurred, faces(LARGE))
    assert len(only_face(blurred, faces(LARGE), Quality(min_sharpness=0))) == 1
