from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3fd.data import wider


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "event").mkdir(parents=True)
    for name in ("event/a.jpg", "event/b.jpg", "event/c.jpg"):
        Image.new("RGB", (100, 80)).save(folder / name)
    return folder


def write(folder: Path, text: str) -> Path:
    path = folder / "gt.txt"
    path.write_text(text)
    return path


def test_boxes_become_xyxy_and_invalid_faces_are_ignored(images: Path, tmp_path: Path) -> None:
    text = "event/a.jpg\n2\n10 20 30 40 0 0 0 0 0 0 \n1 2 3 4 2 0 0 1 0 0 \nevent/b.jpg\n1\n5 5 5 5\n"
    found = wider.read(write(tmp_path, text), images)
    assert [s.path.name for s in found.samples] == ["a.jpg", "b.jpg"]
    np.testing.assert_array_equal(found.samples[0].boxes, [[10, 20, 40, 60], [1, 2, 4, 6]])
    assert found.samples[0].ignored.tolist() == [False, True]
    assert found.problems == []


def test_a_picture_listed_twice_is_taken_once(images: Path, tmp_path: Path) -> None:
    text = "event/a.jpg\n1\n10 20 30 40\nevent/b.jpg\n0\nevent/a.jpg\n1\n5 5 9 9\n"
    found = wider.read(write(tmp_path, text), images)
    assert [s.path.name for s in found.samples] == ["a.jpg", "b.jpg"]
    np.testing.assert_array_equal(found.samples[0].boxes, [[10, 20, 40, 60]])
    (problem,) = found.problems
    assert str(problem).endswith("gt.txt:6: event/a.jpg is already listed on line 1")


def test_lines_between_pictures_may_be_empty_and_a_flag_other_than_1_is_none(
    images: Path, tmp_path: Path
) -> None:
    text = "\nevent/a.jpg\n1\n1 2 3 4 0 0 0 2 0 0\n\n \nevent/b.jpg\n1\n1 2 3 4 1 1 1\n\n"
    found = wider.read(write(tmp_path, text), images)
    assert [(s.path.name, s.ignored.tolist()) for s in found.samples] == [
        ("a.jpg", [False]),
        ("b.jpg", [False]),
    ]
    assert found.problems == []


@pytest.mark.parametrize(
    "text", ["event/a.jpg\n0\n0 0 0 0 0 0 0 0 0 0\nevent/b.jpg\n0\n", "event/a.jpg\n0\nevent/b.jpg\n0"]
)
def test_a_picture_without_faces(images: Path, tmp_path: Path, text: str) -> None:
    found = wider.read(write(tmp_path, text), images)
    assert [s.path.name for s in found.samples] == ["a.jpg", "b.jpg"]
    assert all(s.boxes.shape == (0, 4) for s in found.samples)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("10 10 0 5", "no area"),
        ("10 10 5 0", "no area"),
        ("10 10 -5 5", "inverted"),
        ("200 10 20 20", "outside its 100×80 picture"),
        ("-50 10 20 20", "outside"),
        ("nan 1 2 3", "not finite"),
    ],
)
def test_impossible_boxes_are_reported_with_file_and_line(
    images: Path, tmp_path: Path, row: str, reason: str
) -> None:
    file = write(tmp_path, f"event/a.jpg\n2\n1 1 9 9\n{row} 0 0 0 0 0 0\n")
    found = wider.read(file, images)
    assert len(found.samples[0].boxes) == 1
    (problem,) = found.problems
    assert str(problem).startswith(f"{file}:4: ")
    assert reason in problem.message


def test_a_box_over_the_edge_is_cut(images: Path, tmp_path: Path) -> None:
    found = wider.read(write(tmp_path, "event/a.jpg\n1\n90 -5 20 20\n"), images)
    np.testing.assert_array_equal(found.samples[0].boxes, [[90, 0, 100, 15]])


def test_a_missing_or_broken_picture_is_reported(images: Path, tmp_path: Path) -> None:
    (images / "event/b.jpg").write_bytes(b"no picture")
    file = write(tmp_path, "event/x.jpg\n1\n1 1 5 5\nevent/b.jpg\n1\n1 1 5 5\nevent/c.jpg\n1\n1 1 5 5\n")
    found = wider.read(file, images)
    assert [s.path.name for s in found.samples] == ["c.jpg"]
    assert [p.line for p in found.problems] == [1, 4]


def test_size_is_that_of_the_upright_picture(images: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 80)).save(images / "event/a.jpg", exif=exif)
    found = wider.read(write(tmp_path, "event/a.jpg\n1\n40 85 10 10\n"), images)
    assert len(found.samples[0].boxes) == 1  # y = 85 is inside only when the picture stands


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("event/a.jpg\nmany\n", 2),
        ("event/a.jpg\n-1\n", 2),
        ("event/a.jpg\n²\n1 1 2 2\n1 1 2 2\n", 2),
        ("event/a.jpg\n1\n1 1 2\n", 3),
        ("\n\nevent/a.jpg\n2\n1 1 2 2\n", 4),
        ("event/a.jpg\n3\n1 1 2 2\n", 2),
        ("event/a.jpg\n1\n1 1 x 2\n", 3),
        ("event/a.jpg", 2),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(
    images: Path, tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(ValueError, match=rf"gt.txt:{line}:"):
        wider.read(write(tmp_path, text), images)


def test_a_file_from_windows_loses_no_picture(images: Path, tmp_path: Path) -> None:
    text = "\ufeffevent/a.jpg\r\n1\r\n10 20 30 40\r\nevent/b.jpg\r\n0\r\n"
    found = wider.read(write(tmp_path, text), images)
    assert [s.path.name for s in found.samples] == ["a.jpg", "b.jpg"] and not found.problems
