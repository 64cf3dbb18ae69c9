from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3fd.data import voc

XML = """<annotation>
  <filename>a.jpg</filename>
  <object><name>face</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>10</xmax><ymax>20</ymax></bndbox></object>
  <object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>50</ymax></bndbox></object>
  <object>
    <name>face</name><difficult>1</difficult>
    <bndbox><xmin>30</xmin><ymin>30</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>
  </object>
  <object><name>face</name><bndbox><xmin>30</xmin><ymin>30</ymin><xmax>20</xmax><ymax>40</ymax></bndbox></object>
</annotation>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Image.new("RGB", (100, 80)).save(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(XML)
    return tmp_path


def test_faces_count_from_one_and_difficult_ones_are_ignored(root: Path) -> None:
    found = voc.read(root, root)
    (sample,) = found.samples
    np.testing.assert_array_equal(sample.boxes, [[0, 0, 10, 20], [29, 29, 40, 40]])
    assert sample.ignored.tolist() == [False, True]


def test_an_inverted_box_is_reported_with_its_line(root: Path) -> None:
    (problem,) = voc.read(root, root).problems
    assert (problem.file.name, problem.line) == ("a.xml", 9)
    assert "inverted" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><filename>a.jpg</filename>\n<object>", "a.xml:2: not well-formed"),
        ("", "a.xml:1: not well-formed"),
        ("<annotation>\n<object><name>face</name></object></annotation>", "a.xml:2: expected a bndbox"),
        (
            "<annotation>\n<object><name>face</name><bndbox/></object></annotation>",
            "a.xml:2: expected a bndbox",
        ),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "a.xml: unknown encoding"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entity"),
    ],
)
def test_a_malformed_file_is_refused(root: Path, text: str, message: str) -> None:
    (root / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=message):
        voc.read(root, root)


def test_a_missing_picture_is_reported(root: Path) -> None:
    (root / "a.jpg").unlink()
    found = voc.read(root, root)
    assert found.samples == []
    assert [(problem.file.name, problem.line) for problem in found.problems] == [("a.xml", 1)]


def test_names_may_have_spaces_around_them_and_capitals(root: Path) -> None:
    spaced = XML.replace("a.jpg", "\n a.jpg\n").replace("<name>face<", "<name> Face\n<")
    (root / "a.xml").write_text(spaced)
    (sample,) = voc.read(root, root).samples
    assert len(sample.boxes) == 2


def test_a_set_of_other_objects_is_told_of(root: Path) -> None:
    (root / "a.xml").write_text(XML.replace("face", "head"))
    assert [str(p) for p in voc.read(root, root).problems] == [
        f"{root}:0: no usable object called face in any of 1 pictures"
    ]


@pytest.mark.parametrize("label", ["Face", " FACE "])
def test_the_case_of_the_label_does_not_matter(root: Path, label: str) -> None:
    found, expected = voc.read(root, root, label), voc.read(root, root)
    np.testing.assert_array_equal(found.samples[0].boxes, expected.samples[0].boxes)


def test_a_file_without_a_filename_has_its_pictures_name(root: Path) -> None:
    (root / "a.xml").write_text(XML.replace("<filename>a.jpg</filename>", ""))
    assert [sample.path for sample in voc.read(root, root).samples] == [root / "a.jpg"]


def test_two_files_for_one_picture_are_told_of(root: Path) -> None:
    (root / "b.xml").write_text(XML)  # a copy whose <filename> was forgotten
    found = voc.read(root, root)
    assert len(found.samples) == 1
    assert str(found.problems[1]) == f"{root}/b.xml:1: a.jpg is already the picture of {root}/a.xml"


@pytest.mark.parametrize(
    ("size", "used"), [((100, 80), True), ((0, 0), True), ((80, 100), False), ((200, 160), False)]
)
def test_boxes_of_a_picture_of_another_size_are_not_used(
    root: Path, size: tuple[int, int], used: bool
) -> None:
    declared = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    (root / "a.xml").write_text(XML.replace("<filename>", f"{declared}<filename>"))
    found = voc.read(root, root)
    assert len(found.samples) == used
    if not used:
        (problem,) = found.problems
        expected = f"a.jpg is 100×80 upright, but annotated as {size[0]}×{size[1]}"
        assert problem.message == expected
