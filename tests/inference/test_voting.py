from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s3fd import boxes
from s3fd.faces import Faces
from s3fd.inference.voting import vote

Rows = list[list[float]]


def faces_of(rows: Rows) -> Faces:
    """Faces from rows of left, top, right, bottom, score."""
    array = np.array(rows, np.float32).reshape(-1, 5)
    return Faces(array[:, :4], array[:, 4])


@st.composite
def some_faces(draw: st.DrawFn) -> Faces:
    count = draw(st.integers(0, 12))
    corner = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(0, 60, width=32)))
    size = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(0, 60, width=32)))
    scores = draw(hnp.arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    return Faces(np.concatenate([corner, corner + size], axis=1), scores)


@pytest.mark.parametrize(
    ("rows", "drop_singletons", "expected"),
    [
        ([], False, []),
        ([], True, []),
        ([[0, 0, 10, 10, 0.9]], False, [[0, 0, 10, 10, 0.9]]),
        ([[0, 0, 10, 10, 0.9]], True, []),
        # Weights 0.75 and 0.25: a quarter of the way from the better box to the other.
        ([[0, 0, 10, 10, 0.75], [2, 0, 12, 10, 0.25]], False, [[0.5, 0, 10.5, 10, 0.75]]),
        ([[2, 0, 12, 10, 0.25], [0, 0, 10, 10, 0.75]], True, [[0.5, 0, 10.5, 10, 0.75]]),
        # The overlap of 5 / 15 is enough, that of 4 / 16 is not.
        ([[0, 0, 10, 1, 0.5], [5, 0, 15, 1, 0.5]], False, [[2.5, 0, 12.5, 1, 0.5]]),
        ([[0, 0, 10, 1, 0.6], [6, 0, 16, 1, 0.5]], False, [[0, 0, 10, 1, 0.6], [6, 0, 16, 1, 0.5]]),
        # The middle box goes to the best one, and leaves the third alone.
        (
            [[0, 0, 10, 1, 0.8], [5, 0, 15, 1, 0.8], [10, 0, 20, 1, 0.4]],
            False,
            [[2.5, 0, 12.5, 1, 0.8], [10, 0, 20, 1, 0.4]],
        ),
        ([[0, 0, 10, 1, 0.8], [5, 0, 15, 1, 0.8], [10, 0, 20, 1, 0.4]], True, [[2.5, 0, 12.5, 1, 0.8]]),
        # Empty boxes overlap nothing, not even themselves; scores of 0 are no weights.
        ([[3, 3, 3, 3, 0.5], [3, 3, 3, 3, 0.4]], False, [[3, 3, 3, 3, 0.5], [3, 3, 3, 3, 0.4]]),
        ([[0, 0, 10, 10, 0], [2, 0, 12, 10, 0]], False, [[1, 0, 11, 10, 0]]),
    ],
)
def test_vote(rows: Rows, drop_singletons: bool, expected: Rows) -> None:
    voted = vote(faces_of(rows), drop_singletons=drop_singletons)
    np.testing.assert_allclose(voted.boxes, faces_of(expected).boxes, atol=1e-5)
    np.testing.assert_allclose(voted.scores, faces_of(expected).scores)


def test_of_equal_scores_the_first_box_goes_first() -> None:
    lefts = [20 * (i // 2) + 2 * (i % 2) for i in range(40)]  # twenty pairs that overlap
    pairs = faces_of([[left, 0, left + 10, 10, 0.5 + i // 2 % 2 / 4] for i, left in enumerate(lefts)])
    voted = vote(replace(pairs, attributes={"row": np.arange(40)}))
    assert voted.attributes["row"].tolist() == [*range(2, 40, 4), *range(0, 40, 4)]


def test_attributes_are_those_of_the_best_box() -> None:
    rows = [[2, 0, 12, 10, 0.25], [50, 50, 60, 60, 0.5], [0, 0, 10, 10, 0.75]]
    faces = Faces(faces_of(rows).boxes, faces_of(rows).scores, {"name": np.array(["worse", "other", "best"])})
    assert vote(faces).attributes["name"].tolist() == ["best", "other"]


@given(some_faces())
def test_the_best_score_stays_and_scores_fall(faces: Faces) -> None:
    voted = vote(faces)
    assert len(voted) <= len(faces)
    assert np.all(np.diff(voted.scores) <= 0)
    assert set(voted.scores.tolist()) <= set(faces.scores.tolist())
    if len(faces):
        assert voted.scores[0] == faces.scores.max()


@given(some_faces())
def test_every_box_has_a_merged_one_at_least_as_good(faces: Faces) -> None:
    """Votes of an IoU of 0 merge everything into one mean box inside the hull of all."""
    voted = vote(faces, iou=0.0)
    assert len(voted) == min(1, len(faces))
    if len(faces):
        low, high = faces.boxes.min(axis=0), faces.boxes.max(axis=0)
        assert np.all(voted.boxes[0] >= low - 1e-3) and np.all(voted.boxes[0] <= high + 1e-3)


@given(some_faces())
def test_dropping_singletons_leaves_a_part_of_the_vote(faces: Faces) -> None:
    every, agreed = vote(faces), vote(faces, drop_singletons=True)
    kept = {tuple(row) for row in agreed.boxes.tolist()}
    assert kept <= {tuple(row) for row in every.boxes.tolist()}


@given(some_faces())
def test_boxes_that_do_not_overlap_stay_as_they_are(faces: Faces) -> None:
    overlap = boxes.iou(faces.boxes, faces.boxes)
    np.fill_diagonal(overlap, 0)
    if overlap.max(initial=0) < 0.3:
        order = np.argsort(-faces.scores, kind="stable")
        np.testing.assert_allclose(vote(faces).boxes, faces.boxes[order], rtol=1e-5)
