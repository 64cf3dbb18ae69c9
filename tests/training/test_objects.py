"""Pieces of other pictures in the way of faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.training.augmentation import Labelled
from s3fd.training.objects import BESIDE, MOST, MOST_COVERED, add_objects

SIZE = 200
GREY, BRIGHT = 100, 255


def picture(value: int, *boxes: tuple[float, ...]) -> Labelled:
    """A plain picture with these faces."""
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Labelled(np.full((SIZE, SIZE, 3), value, np.uint8), corners, np.zeros(len(boxes), bool))


FACES = st.lists(
    st.tuples(st.integers(0, 150), st.integers(0, 150), st.integers(6, 50)).map(
        lambda f: (f[0], f[1], f[0] + f[2], f[1] + f[2])
    ),
    max_size=5,
)


@given(FACES, st.integers(0, 10_000))
def test_faces_stay_where_they_are_and_are_not_covered(faces: list[tuple[float, ...]], seed: int) -> None:
    item = picture(GREY, *faces)
    made = add_objects(item, lambda: picture(BRIGHT), np.random.default_rng(seed))
    np.testing.assert_array_equal(made.boxes, item.boxes)
    np.testing.assert_array_equal(made.ignored, item.ignored)
    assert (item.picture == GREY).all(), "the picture itself, which may be kept in memory, is another"
    for x1, y1, x2, y2 in item.boxes.astype(int):
        changed = np.any(made.picture[y1:y2, x1:x2] != GREY, axis=2)
        soft = 4 / (x2 - x1)  # a thing's edge fades over a pixel on each side
        assert changed.mean() <= MOST_COVERED + soft + soft


def test_no_face_is_pasted() -> None:
    """The source's face is its only bright part, and things are darkened to 0 or brightened by little."""
    source = picture(0, (50, 50, 150, 150))
    source.picture[50:150, 50:150] = BRIGHT
    made = [
        add_objects(picture(0), lambda: source, np.random.default_rng(seed)).picture for seed in range(50)
    ]
    assert max(m.max() for m in made) <= 32  # what colours are shifted by, at most


def test_many_pictures_get_things_and_many_faces_have_one_beside_them() -> None:
    rng = np.random.default_rng(0)
    item = picture(GREY, (80, 80, 120, 120))
    made = [add_objects(item, lambda: picture(BRIGHT), rng).picture for _ in range(300)]
    changed = [np.any(m != GREY, axis=2) for m in made]
    assert 0.9 < np.mean([c.any() for c in changed]) <= 1 - 0.5 * (1 - BESIDE) / (MOST + 1)
    touched = np.mean([c[70:130, 70:130].any() for c in changed])
    assert touched > BESIDE / 2


def test_a_source_full_of_faces_gives_nothing() -> None:
    source = picture(BRIGHT, (0, 0, SIZE, SIZE))
    made = add_objects(picture(GREY), lambda: source, np.random.default_rng(0))
    assert (made.picture == GREY).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_generator_decides(seed: int) -> None:
    item = picture(GREY, (80, 80, 120, 120))
    one, two = (
        add_objects(item, lambda: picture(BRIGHT), np.random.default_rng(seed)).picture for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
