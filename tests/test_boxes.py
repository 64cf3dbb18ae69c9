from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s3fd import boxes

EMPTY = np.zeros((0, 4), np.float32)


@st.composite
def box_arrays(draw: st.DrawFn, min_size: float = 0.0, max_count: int = 8) -> np.ndarray:
    """(N, 4) float32 boxes within some thousand pixels whose sides are at least `min_size`."""
    count = draw(st.integers(0, max_count))
    corner = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(-500, 2000, width=32)))
    size = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(min_size, 2000, width=32)))
    return np.concatenate([corner, corner + size], axis=1)


@given(box_arrays(), box_arrays())
def test_iou_is_symmetric_and_between_0_and_1(a: np.ndarray, b: np.ndarray) -> None:
    overlap = boxes.iou(a, b)
    assert overlap.shape == (len(a), len(b))
    assert np.all((overlap >= 0) & (overlap <= 1 + 1e-5))
    np.testing.assert_allclose(overlap, boxes.iou(b, a).T, rtol=1e-5)


@given(box_arrays(min_size=1))
def test_iou_with_itself_is_1(a: np.ndarray) -> None:
    np.testing.assert_allclose(np.diag(boxes.iou(a, a)), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 5], 0.5),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0.0),  # they only touch
        ([0, 0, 10, 10], [5, 5, 15, 15], 25 / 175),
        ([3, 3, 3, 3], [3, 3, 3, 3], 0.0),  # both are empty
        ([5, 5, 0, 0], [0, 0, 10, 10], 0.0),  # inverted
    ],
)
def test_iou_of_known_pairs(a: list[float], b: list[float], expected: float) -> None:
    overlap = boxes.iou(np.array([a], np.float32), np.array([b], np.float32))
    assert overlap[0, 0] == pytest.approx(expected)


@given(box_arrays(min_size=1), st.integers(0, 2**31))
def test_decode_is_the_inverse_of_encode(faces: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-100, 1000, (len(faces), 2))
    anchors = np.concatenate([corner, corner + rng.uniform(16, 512, (len(faces), 2))], axis=1)
    coded = boxes.encode(faces.astype(np.float64), anchors)
    np.testing.assert_allclose(boxes.decode(coded, anchors), faces, rtol=1e-4, atol=1e-2)


def test_the_coding_is_that_of_the_public_weights() -> None:
    """In tenths of the anchor's sides for the centre, and fifths of a logarithm for the size."""
    anchors, e = np.array([[100, 200, 110, 220]], np.float32), np.exp(1)
    box = np.array([[106 - 5 * e, 216 - 10 / e, 106 + 5 * e, 216 + 10 / e]], np.float32)
    np.testing.assert_allclose(boxes.encode(box, anchors), [[1, 3, 5, -5]], rtol=1e-5)
    np.testing.assert_allclose(boxes.decode(np.array([[1, 3, 5, -5]], np.float32), anchors), box, rtol=1e-5)


def test_decode_does_not_overflow() -> None:
    anchors = np.array([[0, 0, 16, 16]], np.float32)
    decoded = boxes.decode(np.array([[0, 0, 1e6, 1e6]], np.float32), anchors)
    half = 8 * np.exp(6)
    np.testing.assert_allclose(decoded, [[8 - half, 8 - half, 8 + half, 8 + half]], rtol=1e-5)


@given(box_arrays(), st.floats(1, 4000, width=32))
def test_flipping_twice_changes_nothing(a: np.ndarray, width: float) -> None:
    before = a.copy()
    np.testing.assert_allclose(boxes.flip(boxes.flip(a, width), width), a, atol=1e-2)
    np.testing.assert_array_equal(a, before)


@given(box_arrays())
def test_flipping_keeps_the_area(a: np.ndarray) -> None:
    np.testing.assert_allclose(boxes.area(boxes.flip(a, 640)), boxes.area(a), rtol=1e-2, atol=1)


@given(box_arrays(), st.integers(1, 2000), st.integers(1, 2000))
def test_clipped_boxes_lie_inside_and_clipping_again_changes_nothing(
    a: np.ndarray, width: int, height: int
) -> None:
    clipped = boxes.clip(a, width, height)
    assert np.all(clipped >= 0)
    assert np.all(clipped <= [width, height, width, height])
    np.testing.assert_array_equal(boxes.clip(clipped, width, height), clipped)


def test_clipping_known_boxes() -> None:
    array = np.array([[-5, 0.5, 30, 90], [10, 20, 39.5, 60], [50, 70, 80, 90]], np.float32)
    expected = [[0, 0.5, 30, 60], [10, 20, 39.5, 60], [40, 60, 40, 60]]
    np.testing.assert_array_equal(boxes.clip(array, 40, 60), expected)


def test_inverted_boxes_have_no_area() -> None:
    array = np.array([[1, 2, 4, 7], [5, 0, 0, 5], [5, 5, 0, 0]], np.float32)
    assert boxes.area(array).tolist() == [15, 0, 0]


def test_no_boxes_at_all() -> None:
    one = np.array([[0, 0, 1, 1]], np.float32)
    assert boxes.area(EMPTY).shape == (0,)
    assert boxes.iou(EMPTY, one).shape == (0, 1)
    assert boxes.iou(one, EMPTY).shape == (1, 0)
    for function in (boxes.encode, boxes.decode):
        assert function(EMPTY, EMPTY).shape == (0, 4)
    assert boxes.clip(EMPTY, 1, 1).shape == boxes.flip(EMPTY, 1).shape == (0, 4)
