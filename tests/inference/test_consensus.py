"""What several looks say of one face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.faces import Faces
from s3fd.inference.consensus import agree
from s3fd.inference.pyramid import Level, Look
from s3fd.inference.tiles import Tile

SIDE, BEST = 1000, 150
FOURTEENTH = np.exp(-0.5 * (np.log(2) / 0.3) ** 2)  # weight of a look that sees the face at half of BEST
FULL, HALF, QUARTER = (Look(Level(scale), Tile(0, 0, SIDE, SIDE)) for scale in (1.0, 0.5, 0.25))
FACE = [100.0, 100, 100 + BEST, 100 + BEST]


def seen(probability: float, box: list[float] = FACE) -> Faces:
    """A face whose second class has this probability."""
    told = np.array([[1 - probability, probability]], np.float32)
    return Faces(np.array([box], np.float32), np.array([0.9], np.float32), {"gender": told})


def told(faces: Faces, *found: tuple[Look, Faces]) -> float:
    row = agree(faces, found, SIDE, SIDE).attributes["gender"][0]
    assert row.sum() == pytest.approx(1)
    return float(row[1])


@given(st.floats(0.01, 0.99), st.sampled_from([FULL, HALF, QUARTER]))
def test_one_look_is_left_as_it_is(probability: float, look: Look) -> None:
    assert told(seen(probability), (look, seen(probability))) == pytest.approx(probability, abs=1e-4)


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_two_looks_end_between_them_and_nearer_to_the_better(one: float, other: float) -> None:
    both = told(seen(one), (FULL, seen(one)), (HALF, seen(other)))
    assert min(one, other) - 1e-4 <= both <= max(one, other) + 1e-4
    log_odds = [np.log(p / (1 - p)) for p in (one, other, both)]
    assert log_odds[2] == pytest.approx((log_odds[0] + FOURTEENTH * log_odds[1]) / (1 + FOURTEENTH), abs=1e-3)


def test_a_large_face_is_told_by_the_look_that_shrinks_it() -> None:
    large = [0.0, 0, 4 * BEST, 4 * BEST]
    found = [(FULL, seen(0.99, large)), (QUARTER, seen(0.2, large))]
    assert told(seen(0.99, large), *found) < 0.25


def test_a_small_face_is_told_by_the_finest_look() -> None:
    small = [0.0, 0, 20, 20]
    assert told(seen(0.9, small), (FULL, seen(0.9, small)), (HALF, seen(0.1, small))) > 0.85


def test_other_faces_and_looks_that_cut_it_have_no_say() -> None:
    beside = [FACE[0] + BEST, *FACE[1:2], FACE[2] + BEST, FACE[3]]
    tile = Look(Level(1.0), Tile(0, 0, int(FACE[2]) + 5, SIDE))
    half = [*FACE[:3], FACE[1] + BEST / 2]
    nobody = seen(0.5)[:0]
    others = [(HALF, seen(0.1, beside)), (HALF, seen(0.1, half)), (tile, seen(0.1)), (QUARTER, nobody)]
    found = [(FULL, seen(0.9)), *others]
    assert told(seen(0.9), *found) == pytest.approx(0.9, abs=1e-4)


def test_one_look_is_enough_to_tell() -> None:
    more_than_half = [*FACE[:3], FACE[1] + 0.51 * BEST]
    found = [(FULL, seen(0.5)[:0]), (HALF, seen(0.3, more_than_half))]
    assert told(seen(0.9), *found) == pytest.approx(0.3, abs=1e-4)


def test_looks_that_are_certain_of_opposites_can_be_weighed() -> None:
    # By the logarithms of a millionth: the better look has 13 fourteenths more to say.
    odds = 1e6 ** ((1 - FOURTEENTH) / (1 + FOURTEENTH))
    assert told(seen(1.0), (FULL, seen(1.0)), (HALF, seen(0.0))) == pytest.approx(odds / (1 + odds), abs=1e-7)


def test_a_box_without_an_area_keeps_what_was_said_of_it() -> None:
    point = seen(0.8, [50.0, 50, 50, 80])
    assert told(point, (FULL, point), (HALF, seen(0.1))) == pytest.approx(0.8)


def test_no_face_and_no_attribute() -> None:
    nobody, plain = seen(0.5)[:0], Faces(seen(0.5).boxes, seen(0.5).scores)
    for found in (nobody, seen(0.5)):
        assert agree(nobody, [(FULL, found)], SIDE, SIDE).attributes["gender"].shape == (0, 2)
    assert agree(plain, [(FULL, plain)], SIDE, SIDE) is plain


def test_each_of_several_faces_is_told_by_its_own_boxes() -> None:
    places = [[x, 100.0, x + BEST, 100 + BEST] for x in (0.0, 300, 600)]

    def several(rows: list[int], probabilities: list[float]) -> Faces:
        """The faces of these rows, each with a vector along the axis of its row."""
        boxes = np.array([places[row] for row in rows], np.float32)
        gender = np.array([[1 - p, p] for p in probabilities], np.float32)
        vectors = np.eye(4, dtype=np.float32)[rows]
        return Faces(boxes, np.full(len(rows), 0.9, np.float32), {"gender": gender}, vectors)

    own = several([0, 1, 2], [0.5, 0.5, 0.5])
    found = [(FULL, several([2, 0], [0.1, 0.7])), (HALF, several([1, 0], [0.8, 0.7]))]
    agreed = agree(own, found, SIDE, SIDE)
    np.testing.assert_allclose(agreed.attributes["gender"][:, 1], [0.7, 0.8, 0.1], atol=1e-6)
    np.testing.assert_allclose(agreed.embeddings, np.eye(4)[:3], atol=1e-6)


def test_vectors_are_averaged_and_have_length_1() -> None:
    def face(x: float, y: float, z: float) -> Faces:
        return replace(seen(0.5), embeddings=np.array([[x, y, z]], np.float32))

    def vector(own: Faces, *found: tuple[Look, Faces]) -> list[float]:
        answer = agree(own, found, SIDE, SIDE).embeddings
        assert answer is not None and answer.shape == (1, 3)
        return [float(number) for number in answer[0]]

    one, other = face(1, 0, 0), face(0, 0.6, 0.8)
    assert vector(one, (FULL, one)) == [1, 0, 0]
    assert vector(one, (FULL, other)) == pytest.approx([0, 0.6, 0.8])
    mixed = np.array([1, 0.6 * FOURTEENTH, 0.8 * FOURTEENTH])
    expected = pytest.approx(mixed / np.linalg.norm(mixed), abs=1e-6)
    assert vector(other, (FULL, one), (HALF, other)) == expected
    opposite = face(-1, 0, 0)
    assert vector(other, (FULL, one), (FULL, opposite)) == pytest.approx([0, 0.6, 0.8])
    elsewhere = replace(one, boxes=one.boxes + 2 * BEST)
    assert vector(other, (FULL, elsewhere)) == pytest.approx([0, 0.6, 0.8])
    nobody = one[:0]
    assert agree(nobody, [(FULL, nobody)], SIDE, SIDE).embeddings is not None
