from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scripts import load_script

from s3fd.faces import Faces

A, B, C = (10, 10, 30, 30), (50, 50, 80, 80), (12, 8, 33, 31)


@pytest.fixture(scope="module")
def relabel() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "tools" / "relabel.py")


def array(*boxes: tuple[int, ...]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("seen", "labels", "faces", "invalid"),
    [
        ([], [], [], []),
        ([(A, 0.9)], [], [A], []),  # sure of it
        ([(A, 0.4)], [], [], []),  # not sure, and nobody confirms it
        ([(A, 0.4)], [C], [A], []),  # confirmed: in the teacher's box
        ([], [C], [], [C]),  # the back of a head
        ([(A, 0.4), (B, 0.9)], [C, (0, 60, 20, 90)], [A, B], [(0, 60, 20, 90)]),
    ],
)
def test_reconcile(
    relabel: ModuleType,
    seen: list[tuple[tuple[int, ...], float]],
    labels: list[tuple[int, ...]],
    faces: list[tuple[int, ...]],
    invalid: list[tuple[int, ...]],
) -> None:
    teacher = Faces(array(*(box for box, _ in seen)), np.array([score for _, score in seen], np.float32))
    boxes, flags = relabel.reconcile(teacher, array(*labels), np.zeros(len(labels), bool))
    np.testing.assert_array_equal(boxes[~flags], array(*faces))
    np.testing.assert_array_equal(boxes[flags], array(*invalid))


def test_ignored_labels_confirm_nothing_and_stay_ignored(relabel: ModuleType) -> None:
    teacher = Faces(array(A), np.array([0.4], np.float32))
    boxes, flags = relabel.reconcile(teacher, array(C), np.ones(1, bool))
    assert boxes.tolist() == array(C).tolist() and flags.tolist() == [True]
    sure = Faces(array(A), np.array([0.9], np.float32))
    boxes, flags = relabel.reconcile(sure, array(C), np.ones(1, bool))
    assert boxes.tolist() == array(A).tolist() and flags.tolist() == [False]


def test_without_labels_what_the_teacher_is_unsure_of_is_invalid(relabel: ModuleType) -> None:
    seen = Faces(array(A, C), np.array([0.9, 0.5], np.float32))
    boxes, flags = relabel.reconcile(seen, array(), np.zeros(0, bool), labelled=False)
    assert boxes.tolist() == array(A, C).tolist() and flags.tolist() == [False, True]
    boxes, flags = relabel.reconcile(seen, array(), np.zeros(0, bool))
    assert boxes.tolist() == array(A).tolist() and flags.tolist() == [False]
