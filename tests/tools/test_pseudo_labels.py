"""What a teacher is shown of a face, and when it is believed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scripts import load_script


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
