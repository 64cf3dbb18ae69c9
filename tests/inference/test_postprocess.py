from __future__ import annotations

import numpy as np
import pytest

from s3fd.inference.postprocess import best, select

A = [0, 0, 100, 100]
NEAR_A = [5, 5, 105, 105]
B = [200, 200, 260, 260]


def arrays(*scored: tuple[float, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([score for score, _ in scored], np.float32),
        np.array([box for _, box in scored], np.float32).reshape(-1, 4),
    )


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([], []),
        ([(0.4, A)], []),
        ([(0.5, A)], []),  # the threshold itself is not over it
        ([(0.6, A)], [0.6]),
        ([(0.6, A), (0.9, B)], [0.9, 0.6]),
        ([(0.6, A), (0.9, NEAR_A)], [0.9]),
        ([(0.6, A), (0.9, NEAR_A), (0.7, B)], [0.9, 0.7]),
        ([(float("nan"), A), (0.9, B)], [0.9]),
    ],
)
def test_select(scored: list[tuple[float, list[float]]], expected: list[float]) -> None:
    scores, boxes = arrays(*scored)
    faces = select(scores, boxes, min_score=0.5)
    assert faces.scores == pytest.approx(np.array(expected, np.float32))
    assert faces.boxes.shape == (len(expected), 4)
    assert faces.boxes.dtype == faces.scores.dtype == np.float32


@pytest.mark.parametrize(("iou", "rows"), [(0.5, [2, 3]), (0.9, [2, 3, 0])])
def test_boxes_and_attributes_are_those_of_the_scores(iou: float, rows: list[int]) -> None:
    scores, boxes = arrays((0.6, A), (0.4, B), (0.9, B), (0.7, NEAR_A))
    faces = select(scores, boxes, min_score=0.5, iou=iou, attributes={"row": np.arange(4, dtype=np.float32)})
    np.testing.assert_array_equal(faces.boxes, boxes[rows])
    assert faces.attributes["row"].tolist() == rows


def test_the_best_are_kept_before_and_after() -> None:
    highest = np.linspace(1, 0.1, 500, dtype=np.float32)
    scores = np.random.default_rng(0).permutation(highest)
    boxes = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(500)], np.float32)
    assert select(scores, boxes, min_score=0, before_nms=7).scores.tolist() == highest[:7].tolist()
    assert select(scores, boxes, min_score=0, after_nms=3).scores.tolist() == highest[:3].tolist()
    assert sorted(scores[best(scores, 0, 100)].tolist(), reverse=True) == highest[:100].tolist()
