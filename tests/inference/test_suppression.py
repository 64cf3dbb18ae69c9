"""Which of overlapping boxes stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd import boxes as box_functions
from s3fd.inference.suppression import GRAPH, suppress

TEXT = """
<ir_version: 8, opset_import: ["": 11]>
suppression (float[1, n, 4] boxes, float[1, 1, n] scores, int64[1] most, float[1] iou) => (int64[k, 3] kept)
{ kept = NonMaxSuppression (boxes, scores, most, iou) }
"""


def test_the_model_is_what_the_text_says() -> None:
    model = onnx.parser.parse_model(TEXT)
    onnx.checker.check_model(model)
    assert onnx.load(GRAPH) == model


@pytest.mark.parametrize(("iou", "count"), [(0.5, 2), (0.49, 1)])
def test_only_an_overlap_over_the_limit_suppresses(iou: float, count: int) -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], np.float32)  # IoU 0.5, no pixel more
    assert len(suppress(np.array([0.9, 0.8], np.float32), boxes, iou)) == count


def by_the_book(scores: np.ndarray, boxes: np.ndarray, limit: float) -> list[int]:
    """Greedy suppression in so many words."""
    kept: list[int] = []
    overlap = box_functions.iou(boxes, boxes)
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap[i, j] <= limit for j in kept):
            kept.append(int(i))
    return kept


def crowd(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], axis=1).astype(np.float32)


@given(st.integers(0, 2**31), st.integers(0, 60), st.sampled_from([0.1, 0.3, 0.5]))
def test_suppression_is_the_greedy_one(seed: int, count: int, limit: float) -> None:
    boxes = crowd(seed, count)
    scores = np.random.default_rng(seed).permutation(np.linspace(0.1, 1, count)).astype(np.float32)
    assert suppress(scores, boxes, limit).tolist() == by_the_book(scores, boxes, limit)


@given(st.integers(0, 2**31), st.integers(2, 40))
def test_of_equal_scores_the_first_goes_first(seed: int, count: int) -> None:
    boxes = crowd(seed, count)
    scores = np.random.default_rng(seed).integers(1, 4, count).astype(np.float32) / 4
    assert suppress(scores, boxes).tolist() == by_the_book(scores, boxes, 0.5)


def test_boxes_without_area_and_beyond_the_picture_are_boxes() -> None:
    boxes = np.array([[5, 5, 5, 5], [-40, -40, -10, -10], [0, 0, 20, 20], [5, 5, 5, 5]], np.float32)
    kept = suppress(np.array([0.9, 0.8, 0.7, 0.6], np.float32), boxes)
    assert kept.tolist()[:3] == [0, 1, 2]


def test_threads_share_it() -> None:
    boxes, scores = crowd(3, 60), np.linspace(0.1, 1, 60, dtype=np.float32)
    expected = by_the_book(scores, boxes, 0.5)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: suppress(scores, boxes).tolist(), range(200)))
    assert all(kept == expected for kept in found)


@given(st.integers(0, 2**31), st.integers(0, 60), st.integers(1, 20))
def test_no_more_boxes_stay_than_are_asked_for(seed: int, count: int, most: int) -> None:
    boxes = crowd(seed, count)
    scores = np.random.default_rng(seed).permutation(np.linspace(0.1, 1, count)).astype(np.float32)
    assert suppress(scores, boxes, 0.5, most).tolist() == by_the_book(scores, boxes, 0.5)[:most]
