from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s3fd.evaluation import results
from s3fd.faces import Faces


def write_text(folder: Path, text: str) -> Path:
    path = folder / "picture.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "boxes", "scores"),
    [
        ("a/b.jpg\n0\n", [], []),
        ("b\n1\n1 2 3 4 0.5\n", [[1, 2, 4, 6]], [0.5]),
        ("a/b.jpg\n1\n1.5 -2 3 4 1\n", [[1.5, -2, 4.5, 2]], [1]),
        ("b.jpg\n2\n1 2 3 4 5e-1\n0 0 1e1 1E1 7.08\n", [[1, 2, 4, 6], [0, 0, 10, 10]], [0.5, 7.08]),
        ("b.jpg\n 1 \n\n  1\t2  3 4 0.5 10 20 30 \r\n\n", [[1, 2, 4, 6]], [0.5]),
        ("\n1\n1 2 3 4 0.5 landmarks", [[1, 2, 4, 6]], [0.5]),
    ],
)
def test_reads_what_detectors_write(
    tmp_path: Path, text: str, boxes: list[list[float]], scores: list[float]
) -> None:
    faces = results.read(write_text(tmp_path, text))
    np.testing.assert_allclose(faces.boxes, np.reshape(boxes, (-1, 4)))
    np.testing.assert_allclose(faces.scores, scores)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 2, "number of detections, found the end"),
        ("b.jpg\n", 2, "number of detections, found the end"),
        ("b.jpg\n1 2 3 4 0.5\n", 2, "number of detections, found '1 2 3 4 0.5'"),
        ("b.jpg\n-1\n", 2, "number of detections"),
        ("b.jpg\n1.5\n", 2, "number of detections"),
        ("b.jpg\n2\n1 2 3 4 0.5\n", 3, "expected 2 detections, found 1"),
        ("b.jpg\n1\n1 2 3 4 0.5\n1 2 3 4 0.5\n", 4, "expected 1 detections, found 2"),
        ("b.jpg\n2\n1 2 3 4 0.5\n1 2 3 4\n", 4, "left, top, width, height and score"),
        ("b.jpg\n1\n1 2 3 four 0.5\n", 3, "found '1 2 3 four 0.5'"),
        ("b.jpg\n1\n1 2 3 nan 0.5\n", 3, "left, top, width, height and score"),
        ("b.jpg\n1\n1 2 3 4 inf\n", 3, "left, top, width, height and score"),
    ],
)
def test_malformed_files_are_named_with_their_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    path = write_text(tmp_path, text)
    with pytest.raises(ValueError) as raised:
        results.read(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert message in str(raised.value)


def test_a_file_that_is_no_text_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match="not a text file"):
        results.read(path)


@given(
    corners=hnp.arrays(np.float32, (3, 2), elements=st.floats(-100, 5000, width=32)),
    sizes=hnp.arrays(np.float32, (3, 2), elements=st.floats(0, 5000, width=32)),
    scores=hnp.arrays(np.float32, 3, elements=st.floats(0, 1, width=32)),
)
def test_what_is_written_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, corners: np.ndarray, sizes: np.ndarray, scores: np.ndarray
) -> None:
    folder = tmp_path_factory.mktemp("results")
    faces = Faces(np.concatenate([corners, corners + sizes], axis=1), scores)
    results.write_all(folder, {"0--Parade/a.b": faces, "0--Parade/none": Faces.empty()})
    again = results.read_all(folder, ["0--Parade/a.b", "0--Parade/none", "0--Parade/missing"])
    assert list(again) == ["0--Parade/a.b", "0--Parade/none"]
    assert len(again["0--Parade/none"]) == 0
    np.testing.assert_allclose(again["0--Parade/a.b"].boxes, faces.boxes, atol=2e-3)
    np.testing.assert_allclose(again["0--Parade/a.b"].scores, faces.scores, atol=1e-6)


def test_layout_of_a_written_file(tmp_path: Path) -> None:
    faces = Faces(np.array([[1, 2, 4.5, 6]], np.float32), np.array([0.25], np.float32))
    results.write(tmp_path, "0--Parade/a", faces)
    text = (tmp_path / "0--Parade" / "a.txt").read_text()
    assert text == "0--Parade/a.jpg\n1\n1.000 2.000 3.500 4.000 0.250000\n"
