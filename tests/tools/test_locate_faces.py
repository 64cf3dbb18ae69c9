"""Which face gets the label of a picture, and who is kept for testing."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scripts import load_script

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def locate_faces(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return load_script(TOOLS / "locate_faces.py")


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_the_label_is_of_the_face_in_the_middle(locate_faces: ModuleType) -> None:
    picture = locate_faces.Picture(Path("a.jpg"), "pack", None, [{"Gender": "F"}])
    seen = boxes((0, 0, 30, 30), (40, 40, 70, 70), (45, 45, 50, 50))
    labels = locate_faces.label_boxes(picture, seen, np.array([0.9, 0.6, 0.9]), 110, 110)
    assert labels == [None, {"Gender": "F"}, None]
    assert locate_faces.label_boxes(picture, seen[:0], np.zeros(0), 110, 110) == []
    unsure = locate_faces.label_boxes(picture, seen, np.array([0.9, 0.4, 0.9]), 110, 110)
    assert unsure == [None, None, None]


def test_labels_of_boxes_go_to_what_overlaps_them(locate_faces: ModuleType) -> None:
    columns = [{"mask": "bare"}, {"mask": "mask"}]
    picture = locate_faces.Picture(Path("a.jpg"), "pack", boxes((0, 0, 20, 20), (50, 50, 80, 80)), columns)
    seen = boxes((52, 52, 82, 82), (2, 2, 20, 20), (100, 0, 120, 20))
    labels = locate_faces.label_boxes(picture, seen, np.ones(3), 120, 120)
    assert labels == [{"mask": "mask"}, {"mask": "bare"}, None]


def test_a_person_is_in_one_part_and_the_test_has_a_tenth(locate_faces: ModuleType) -> None:
    parts = []
    for i in range(2000):
        person = {"Person": f"Person_{i}"}
        each = {
            locate_faces.part_of(locate_faces.Picture(Path(f"{i}_{k}.jpg"), "pack", None, [person]))
            for k in range(3)
        }
        assert len(each) == 1
        parts += each
    assert 0.08 < parts.count("test") / 2000 < 0.12
    assert 0.03 < parts.count("calibration") / 2000 < 0.07
