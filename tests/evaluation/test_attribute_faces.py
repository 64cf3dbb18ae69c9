from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from s3fd.data.labels import LabelledPicture
from s3fd.evaluation.attribute_faces import observe
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import AnchorOutputs

BOXES = np.array([[10, 10, 40, 40], [50, 10, 90, 60], [5, 70, 15, 80]], np.float32)
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)


class Known:
    """A network that finds the same three faces in a bright picture and none in a dark one."""

    classes: Mapping[str, tuple[str, ...]] = {"gender": ("female", "male")}

    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        score = 0.9 if pictures.mean() > 128 else 0.1
        return AnchorOutputs(np.full((1, 3), score, np.float32), BOXES[None], {"gender": PROBABILITIES[None]})


@pytest.fixture
def detector() -> Detector:
    return Detector(Known(), size="original", attributes=("gender",))


def item(
    path: Path, brightness: int, labels: list[int], boxes: list[list[float]] | None = None
) -> LabelledPicture:
    cv2.imwrite(str(path), np.full((100, 100, 3), brightness, np.uint8))
    array = None if boxes is None else np.array(boxes, np.float32)
    ages = [str(20 + i) for i in range(len(labels))]
    return LabelledPicture(path, array, {"g": np.array(labels)}, {"age": ages}, [2] * len(labels))


def test_a_whole_picture_is_its_largest_face(detector: Detector, tmp_path: Path) -> None:
    found = observe(detector, "gender", [item(tmp_path / "a.png", 200, [1])], "g", ["age"])
    assert found.missed == 0
    np.testing.assert_array_equal(found.observations.probabilities, PROBABILITIES[1:2])
    np.testing.assert_allclose(found.observations.sizes, np.sqrt(40 * 50))
    assert found.observations.groups["age"].tolist() == ["20"]


def test_boxes_are_the_faces_on_them(detector: Detector, tmp_path: Path) -> None:
    boxes = [[52, 12, 92, 58], [0, 0, 20, 20], [12, 9, 42, 41], [6, 70, 15, 81]]
    found = observe(detector, "gender", [item(tmp_path / "a.png", 200, [1, 0, 0, -1], boxes)], "g", ["age"])
    assert found.missed == 1  # the one where no face was found; the unlabelled one does not count
    np.testing.assert_array_equal(found.observations.probabilities, PROBABILITIES[[1, 0]])
    assert found.observations.labels.tolist() == [1, 0]
    assert found.observations.groups["age"].tolist() == ["20", "22"]


def test_one_detection_is_one_face(detector: Detector, tmp_path: Path) -> None:
    worse, own = [50, 10, 84, 62], [50, 10, 90, 60]
    for boxes in ([worse, own], [own, worse]):
        labels = [0, 1] if boxes[0] == worse else [1, 0]
        found = observe(detector, "gender", [item(tmp_path / "a.png", 200, labels, boxes)], "g")
        assert found.missed == 1 and found.observations.labels.tolist() == [1]
        unlabelled = [-1 if label == 1 else label for label in labels]
        found = observe(detector, "gender", [item(tmp_path / "a.png", 200, unlabelled, boxes)], "g")
        assert found.missed == 1 and len(found.observations) == 0


def test_pictures_without_faces_and_unreadable_ones_are_missed(detector: Detector, tmp_path: Path) -> None:
    dark = item(tmp_path / "dark.png", 20, [0])
    broken = item(tmp_path / "broken.png", 200, [1])
    broken.path.write_bytes(b"no picture")
    found = observe(detector, "gender", [dark, broken], "g")
    assert found.missed == 2 and len(found.observations) == 0
    assert found.unread == [(2, f"{broken.path}: not a picture of a known format")]


def test_pictures_without_a_label_are_not_looked_at(detector: Detector, tmp_path: Path) -> None:
    broken = item(tmp_path / "broken.png", 200, [-1])
    broken.path.write_bytes(b"no picture")
    found = observe(detector, "gender", [broken, item(tmp_path / "a.png", 200, [1])], "g")
    assert (found.missed, len(found.observations), found.unread) == (0, 1, [])
