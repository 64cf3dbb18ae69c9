from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3fd.data import yolo


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images/sub").mkdir(parents=True)
    (tmp_path / "labels/sub").mkdir(parents=True)
    Image.new("RGB", (100, 80)).save(tmp_path / "images/sub/a.jpg")
    Image.new("RGB", (100, 80)).save(tmp_path / "images/b.png")
    return tmp_path


def read(root: Path):  # type: ignore[no-untyped-def]
    return yolo.read(root / "labels", root / "images")


def test_relative_boxes_become_pixels(root: Path) -> None:
    (root / "labels/sub/a.txt").write_text("0 0.5 0.5 0.2 0.5\n1 0.1 0.1 0.1 0.1\n\n")
    by_name = {s.path.name: s for s in read(root).samples}
    np.testing.assert_allclose(by_name["a.jpg"].boxes, [[40, 20, 60, 60]])
    assert by_name["b.png"].boxes.shape == (0, 4)  # no text file: no faces


def test_impossible_boxes_are_reported_with_line(root: Path) -> None:
    (root / "labels/b.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n0 1.5 0.5 0.1 0.1\n")
    found = read(root)
    assert [(p.file.name, p.line) for p in found.problems] == [("b.txt", 2), ("b.txt", 3)]


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.1", "0 a b c d"])
def test_a_malformed_line_is_refused(root: Path, line: str) -> None:
    (root / "labels/b.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(ValueError, match=r"b\.txt:2"):
        read(root)


def test_a_set_of_another_class_is_told_of(root: Path) -> None:
    (root / "labels/b.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    assert [str(p) for p in read(root).problems] == [
        f"{root / 'labels'}:0: no usable box of class 0 in any of 2 pictures"
    ]


def test_any_class_may_be_the_face_and_more_columns_may_follow(root: Path) -> None:
    (root / "images/b.png").rename(root / "images/b.PNG")
    (root / "images/notes.txt").write_text("no picture")
    (root / "labels/b.txt").write_text("\n0 0.1 0.1 0.1 0.1\n3 0.5 0.25 0.2 0.5 0.99\n")
    found = yolo.read(root / "labels", root / "images", label=3)
    assert [sample.path.name for sample in found.samples] == ["b.PNG", "a.jpg"] and not found.problems
    np.testing.assert_allclose(found.samples[0].boxes, [[40, 0, 60, 40]])


def test_a_missing_or_broken_picture_is_reported(root: Path) -> None:
    (root / "images/b.png").write_bytes(b"no picture")
    (root / "labels/sub/a.txt").write_text("0 0.5 0.5 0.2 0.5")
    found = read(root)
    assert [sample.path.name for sample in found.samples] == ["a.jpg"]
    assert [(p.file.name, p.line) for p in found.problems] == [("b.txt", 0)]
