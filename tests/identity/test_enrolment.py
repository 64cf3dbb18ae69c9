from __future__ import annotations

import cv2
import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.identity.enrolment import Quality, Refusal, face_in, only_face


def picture() -> np.ndarray:
    """Sharp noise."""
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))


def test_the_largest_face_is_taken_where_others_are_small() -> None:
    face = only_face(picture(), faces((0, 0, 30, 30), (100, 100, 200, 220)))
    np.testing.assert_array_equal(face.boxes, [[100, 100, 200, 220]])


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([], "no face"),
        ([(0, 0, 100, 100), (200, 0, 260, 60)], "2 faces"),
        ([(0, 0, 31, 80)], "too small: 31 pixels, minimum 32"),
        ([(0, 0, 31.9, 80)], "too small: 31 pixels, minimum 32"),
    ],
)
def test_what_cannot_stand_for_a_person_is_refused(boxes: list, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        only_face(picture(), faces(*boxes))


def test_what_may_be_no_face_is_refused() -> None:
    unsure = Faces(np.array([[100, 100, 200, 200]], np.float32), np.array([0.69], np.float32))
    with pytest.raises(Refusal, match=r"possibly not a face: score 0\.69, minimum 0\.70"):
        only_face(picture(), unsure)
    assert len(only_face(picture(), unsure, Quality(min_score=0.6))) == 1


def test_a_blurred_face_is_refused_unless_that_is_asked_for() -> None:
    blurred = np.asarray(cv2.GaussianBlur(picture(), (0, 0), 12), np.uint8)
    face = faces((100, 100, 200, 200))
    with pytest.raises(Refusal, match="too blurred"):
        only_face(blurred, face)
    assert len(only_face(blurred, face, Quality(min_sharpness=0))) == 1


def test_the_face_in_a_box_is_taken_whoever_is_beside_it() -> None:
    two = faces((0, 0, 100, 100), (200, 0, 260, 60))
    near = np.array([195, 2, 262, 63], np.float32)
    np.testing.assert_array_equal(face_in(picture(), two, near).boxes, [[200, 0, 260, 60]])
    with pytest.raises(Refusal, match="too small"):
        face_in(picture(), two, near, Quality(min_size=61))


@pytest.mark.parametrize("found", [faces(), faces((0, 0, 100, 100))])
def test_a_box_without_a_face_is_refused(found: Faces) -> None:
    with pytest.raises(Refusal, match="no face in this box"):
        face_in(picture(), found, np.array([60, 60, 200, 200], np.float32))
