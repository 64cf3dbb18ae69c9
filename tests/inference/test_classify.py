import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.inference.classify import Answer, answer


def faces(*rows: tuple[float, str | None, float]) -> Faces:
    """Faces of these sides, with a class and its probability."""
    boxes = np.array([[0, 0, side, side] for side, _, _ in rows], np.float32).reshape(-1, 4)
    columns = {
        "gender": np.array([label for _, label, _ in rows], dtype=object),
        "gender_probability": np.array([p for _, _, p in rows], np.float32),
    }
    return Faces(boxes, np.ones(len(rows), np.float32), columns)


@pytest.mark.parametrize(
    ("found", "label", "probability"),
    [
        (faces(), None, None),
        (faces((10, "male", 0.9)), "male", 0.9),
        (faces((20, "female", 0.8), (10, "male", 1.0)), "female", 0.64),
        (faces((10, "female", 0.6), (10, "male", 0.9)), "male", 0.45),
        (faces((100, None, 0.5), (10, "male", 0.9)), "male", 0.9),
        (faces((100, None, 0.5)), None, None),
    ],
)
def test_faces_answer_by_area(found: Faces, label: str | None, probability: float | None) -> None:
    told = answer(found, "gender")
    assert probability is None or type(told.probability) is float  # it is printed as such
    assert told.label == label and told.faces == len(found)
    assert told.probability == (None if probability is None else pytest.approx(probability))


def test_an_attribute_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        answer(Faces.empty(), "gender")
    assert answer(faces(), "gender") == Answer(None, None, 0)
