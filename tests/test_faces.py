from __future__ import annotations

import json

import numpy as np
import pytest

from s3fd.faces import Faces


@pytest.fixture
def faces() -> Faces:
    boxes = np.array([[0, 0, 10, 20], [5, 5, 25, 25], [1, 2, 4, 6]], np.float32)
    ages = np.array([20, 30, 40])
    return Faces(boxes, np.array([0.9, 0.6, 0.3], np.float32), {"age": ages}, np.eye(3, dtype=np.float32))


@pytest.mark.parametrize(
    ("index", "ages"),
    [
        (0, [20]),
        (-1, [40]),
        (np.array([0, 2, 1]).argmax(), [30]),
        (slice(1, None), [30, 40]),
        (slice(0, 0), []),
        (np.array([True, False, True]), [20, 40]),
        ([2, 0], [40, 20]),
    ],
)
def test_indexing_gives_faces_with_their_attributes_and_embeddings(
    faces: Faces, index: object, ages: list[int]
) -> None:
    chosen = faces[index]  # type: ignore[index]
    assert isinstance(chosen, Faces)
    assert chosen.boxes.shape == (len(ages), 4)
    assert chosen.attributes["age"].tolist() == ages
    assert chosen.embeddings is not None
    np.testing.assert_array_equal(chosen.embeddings @ np.array([20, 30, 40]), ages)


def test_an_index_out_of_range_is_refused(faces: Faces) -> None:
    with pytest.raises(IndexError):
        faces[3]


def test_iterating_gives_one_face_at_a_time(faces: Faces) -> None:
    assert [len(face) for face in faces] == [1, 1, 1]


@pytest.mark.parametrize(
    ("min_score", "min_size", "count"), [(0, 0, 3), (0.5, 0, 2), (0.6, 10, 2), (0.5, 15, 1), (0.95, 0, 0)]
)
def test_filter(faces: Faces, min_score: float, min_size: float, count: int) -> None:
    assert len(faces.filter(min_score, min_size)) == count


def test_filter_measures_the_shorter_side(faces: Faces) -> None:
    assert faces.filter(min_size=11).attributes["age"].tolist() == [30]


def test_no_faces_at_all() -> None:
    empty = Faces.empty()
    assert len(empty) == 0
    assert empty.sizes.shape == (0,)
    assert empty.to_dicts() == []
    assert len(empty.filter(0.5, 10)) == 0
    assert repr(empty) == "<Faces: 0>"


def test_dictionaries_are_json_and_rounded(faces: Faces) -> None:
    first = json.loads(json.dumps(faces.to_dicts()))[0]
    assert first == {"box": [0.0, 0.0, 10.0, 20.0], "score": 0.9, "age": 20}
    eighths = Faces(faces.boxes + 0.126, faces.scores)
    assert eighths.to_dicts()[2]["box"] == [1.1, 2.1, 4.1, 6.1]
    assert eighths.to_dicts(digits=2)[2]["box"] == [1.13, 2.13, 4.13, 6.13]


@pytest.mark.parametrize(
    ("boxes", "scores", "ages", "embeddings"),
    [
        ((2, 4), (3,), 3, (3, 8)),
        ((2, 3), (2,), 2, (2, 8)),
        ((2, 4), (2, 1), 2, (2, 8)),
        ((2, 4), (2,), 3, (2, 8)),
        ((2, 4), (2,), 2, (3, 8)),
        ((2, 4), (2,), 2, (2,)),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    boxes: tuple[int, ...], scores: tuple[int, ...], ages: int, embeddings: tuple[int, ...]
) -> None:
    arrays = (np.zeros(shape, np.float32) for shape in (boxes, scores, embeddings))
    with pytest.raises(ValueError):
        Faces(next(arrays), next(arrays), {"age": np.zeros(ages)}, next(arrays))


def test_supervision(faces: Faces) -> None:
    pytest.importorskip("supervision")
    detections = faces.to_supervision()
    assert len(detections) == 3
    np.testing.assert_array_equal(detections.xyxy, faces.boxes)
    np.testing.assert_array_equal(detections.confidence, faces.scores)
    assert not np.shares_memory(detections.xyxy, faces.boxes)
    assert not np.shares_memory(detections.confidence, faces.scores)
    assert detections.class_id.tolist() == [0, 0, 0]
    assert detections.data["age"].tolist() == [20, 30, 40]


def test_probabilities_of_several_classes_have_four_decimals_too() -> None:
    told = {"gender": np.array([[0.9, 0.1]], np.float32)}
    faces = Faces(np.array([[0, 0, 8, 8]], np.float32), np.ones(1, np.float32), told)
    assert faces.to_dicts()[0]["gender"] == [0.9, 0.1]
