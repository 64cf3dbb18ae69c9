"""What a teacher is shown of a face, and when it is believed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from scripts import load_script

from s3fd.faces import Faces


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "tools" / "pseudo_labels.py")


def test_a_face_is_in_the_middle_with_a_quarter_of_it_around_it(tool: ModuleType) -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[50:110, 120:160] = (255, 0, 0)  # blue, as OpenCV reads it
    seen = tool.crop(picture, np.array([120, 50, 160, 110], np.float32))
    assert seen.shape == (tool.SIDE, tool.SIDE, 3)
    rows, columns = np.nonzero(seen[..., 2] > 127)
    assert abs(rows.mean() - tool.SIDE / 2) < 2 and abs(columns.mean() - tool.SIDE / 2) < 2
    assert abs(np.ptp(rows) + 1 - tool.SIDE / tool.AROUND) < 3
    assert seen[..., 0].max() == 0


@pytest.mark.parametrize(("probability", "said"), [(0.1, "F"), (0.4, ""), (0.5, ""), (0.6, ""), (0.9, "M")])
def test_a_teacher_is_believed_where_it_is_sure(tool: ModuleType, probability: float, said: str) -> None:
    assert tool.gender(probability) == said


class _Sure:
    """A teacher that takes everybody for male."""

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.ones((1, 1), np.float32)]


def test_a_face_that_the_table_has_gets_no_second_row(tool: ModuleType, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((200, 300, 3), np.uint8))
    boxes = np.array([[10, 10, 50, 60], [80, 10, 120, 60], [150, 10, 190, 60]], np.float32)
    place = {"image": "a.png", "x2": "52", "y1": "11", "y2": "58"}
    unknown = {**place, "x1": "12", "Gender": ""}
    labelled = {**place, "x1": "82", "x2": "121", "Gender": "F"}
    found = tool.rows_of(
        tmp_path / "a.png",
        tmp_path,
        "pack",
        lambda picture: Faces(boxes, np.ones(3, np.float32)),
        _Sure(),
        [unknown, labelled],
    )
    (row,) = found
    assert (row["x1"], row["Gender"]) == ("150.0", "M")
    assert (unknown["Gender"], labelled["Gender"]) == ("M", "F")
