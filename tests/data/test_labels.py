from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fd.data.labels import UNSURE, Labels, read
from s3fd.data.targets import Target, parse_target

PICTURES = ("a.jpg", "b.jpeg", "c.png", "d.webp", "event/a.jpg", "event/e.v1.jpg")

GENDER = Target("Gender", ("F", "M"), ("female", "male"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files with the names of pictures; nothing may open them, they are none."""
    folder = tmp_path_factory.mktemp("labels") / "images"
    (folder / "event").mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    for name in PICTURES:
        (folder / name).write_bytes(b"no picture")
    return folder


def write(images: Path, text: str, encoding: str = "utf-8") -> Path:
    path = images.parent / "index.csv"
    path.write_bytes(text.encode(encoding))
    return path


def load(images: Path, text: str, *targets: str | Target) -> Labels:
    return read(write(images, text), images, targets or ["Gender"])


def names(found: Labels, images: Path) -> list[str]:
    return [picture.path.relative_to(images).as_posix() for picture in found.pictures]


def problems(found: Labels) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in found.problems]


def test_labels_of_whole_pictures(images: Path) -> None:
    found = load(images, "Image_Name,Gender,Age\na,M,7\nb,F,\nc,Unknown,x\n")
    assert found.targets == (Target("Gender", ("F", "M"), ("F", "M")),)
    assert names(found, images) == ["a.jpg", "b.jpeg", "c.png"]
    assert [p.labels["Gender"].tolist() for p in found.pictures] == [[1], [0], [-1]]
    assert [p.extra for p in found.pictures] == [{"Age": ["7"]}, {"Age": [""]}, {"Age": ["x"]}]
    assert [p.lines for p in found.pictures] == [[2], [3], [4]]
    assert all(p.boxes is None and p.labels["Gender"].dtype == np.int64 for p in found.pictures)
    assert found.problems == []


def test_boxes_of_a_picture_are_put_together(images: Path) -> None:
    text = (
        "image,x1,y1,x2,y2,gender,skin\na.jpg,1,2,3,4.5,F,I\nb.jpeg,5,5,9,9,M,V\na.jpg,-2,0,8,8,Not Sure,?\n"
    )
    found = load(images, text, "gender")
    assert names(found, images) == ["a.jpg", "b.jpeg"]
    first = found.pictures[0]
    assert first.boxes is not None
    assert first.boxes.dtype == np.float32
    np.testing.assert_array_equal(first.boxes, [[1, 2, 3, 4.5], [-2, 0, 8, 8]])
    assert first.labels["gender"].tolist() == [0, -1]
    assert first.extra == {"skin": ["I", "?"]}
    assert first.lines == [2, 4]


def test_what_may_be_no_face_has_no_label(images: Path) -> None:
    text = "image,x1,y1,x2,y2,Invalid,gender\na.jpg,1,2,3,4,1,F\na.jpg,5,5,9,9,0,M\nb.jpeg,5,5,9,9,,F\n"
    first, second = load(images, text, "gender").pictures
    assert first.labels["gender"].tolist() == [-1, 1] and second.labels["gender"].tolist() == [0]
    assert first.extra == {"invalid": ["1", "0"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "a.jpg"),
        ("b", "b.jpeg"),
        ("c", "c.png"),
        ("d", "d.webp"),
        ("a.jpg", "a.jpg"),
        ("event/a", "event/a.jpg"),
        ("event/e.v1", "event/e.v1.jpg"),
        ("./event/../a.jpg", "a.jpg"),
        (" a ", "a.jpg"),
    ],
)
def test_names_may_lack_their_suffix(images: Path, name: str, expected: str) -> None:
    other = "b" if expected != "b.jpeg" else "c"
    assert names(load(images, f"path,Gender\n{name},F\n{other},M\n"), images)[0] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("g", "g.JPG"),
        ("g.jpg", "g.JPG"),
        ("a.JPG", "a.jpg"),
        ("event\\a.jpg", "event/a.jpg"),
        ("event\\E", "event/E.PNG"),
        ("Jos\u00e9", "Jose\u0301.jpg"),
        ("h.jpg", "h.jpg"),
        ("h.JPG", "h.JPG"),
    ],
)
def test_names_may_be_written_as_on_another_system(tmp_path: Path, name: str, expected: str) -> None:
    folder = tmp_path / "images"
    (folder / "event").mkdir(parents=True)
    for file in ("a.jpg", "g.JPG", "event/a.jpg", "event/E.PNG", "Jose\u0301.jpg", "h.jpg", "h.JPG", "z.png"):
        (folder / file).touch()
    assert names(load(folder, f"path,Gender\n{name},F\nz,M\n"), folder)[0] == expected


@pytest.mark.parametrize(
    "name", ["x", "x.jpg", "event", "folder.jpg", "event/b", "no/such", "/no/such", ".."]
)
def test_a_missing_picture_is_reported(images: Path, name: str) -> None:
    found = load(images, f"path,Gender\na,F\n{name},F\nc,M\n")
    assert names(found, images) == ["a.jpg", "c.png"]
    ((line, message),) = problems(found)
    assert line == 3
    assert message.startswith("no picture ")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Image_Name,image,Gender", "a.jpg"),
        ("image,IMAGE_NAME,Gender", "b.jpeg"),
        ("path,Image,GENDER", "b.jpeg"),
        ("other,path,gender", "b.jpeg"),
    ],
)
def test_the_first_name_column_names_the_pictures(images: Path, header: str, expected: str) -> None:
    found = load(images, f"{header}\na,b,F\nc,d,M\n")
    assert names(found, images)[0] == expected
    assert found.targets[0].column == "Gender"  # as asked for, so that files of either spelling go together


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("1,1,x,4", "box 1 1 x 4 is not four numbers"),
        ("1,,3,4", "box 1 – 3 4 is incomplete"),
        ("3,1,1,4", "is inverted"),
        ("1,4,3,1", "is inverted"),
        ("1,1,1,4", "has no area"),
        ("nan,1,3,4", "is not finite"),
        ("1,1,inf,4", "is not finite"),
        ("1,1,1e39,4", "is not finite"),
    ],
)
def test_an_impossible_box_is_reported(images: Path, box: str, reason: str) -> None:
    found = load(images, f"image,x1,y1,x2,y2,Gender\na,0,0,5,5,F\na,{box},F\na,1,1,9,9,M\n")
    assert found.pictures[0].lines == [2, 4]
    ((line, message),) = problems(found)
    assert line == 3
    assert message.endswith(reason)


@pytest.mark.parametrize(
    "columns", ["x,y,w,h", "X,Y,Width,Height", "xmin,ymin,xmax,ymax", "left,top,right,bottom"]
)
def test_boxes_in_columns_of_other_names_are_told_of(images: Path, columns: str) -> None:
    found = load(images, f"image,{columns},Gender\na,1,2,30,40,F\nb,1,2,30,40,M\n")
    assert all(picture.boxes is None for picture in found.pictures)
    ((line, message),) = problems(found)
    assert line == 1
    assert message.startswith(
        f"boxes in {', '.join(columns.lower().split(','))} are not read, so labels apply"
    )
    assert (
        problems(
            load(images, f"image,x1,y1,x2,y2,{columns},Gender\na{',1,2,3,4' * 2},F\nb{',1,2,3,4' * 2},M")
        )
        == []
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a,,,,,F\na.jpg,,,,,M\nb,,,,,M", "picture listed twice (see line 2)"),
        ("a,,,,,F\na,1,1,2,2,M\nb,,,,,M", "picture listed with and without a box (see line 2)"),
        ("a,1,1,2,2,F\na,,,,,M\nb,,,,,M", "picture listed with and without a box (see line 2)"),
        ("a,1,1,2,2,F\na,1,1,2.0,2,M\nb,,,,,M", "box listed twice (see line 2)"),
        ("a,,,,,F\n,,,,,M\nb,,,,,M", "the picture name is missing"),
        ("a,,,,,F\nc,,,,,M,z\nb,,,,,M", "7 cells, but the header has 6"),
    ],
)
def test_other_rows_that_cannot_be_used(images: Path, rows: str, reason: str) -> None:
    found = load(images, f"image,x1,y1,x2,y2,Gender\n{rows}\n")
    assert names(found, images) == ["a.jpg", "b.jpeg"]
    assert [p.lines for p in found.pictures] == [[2], [4]]
    assert problems(found) == [(3, reason)]


def test_an_undeclared_label_is_reported_and_not_known(images: Path) -> None:
    found = load(images, "image,Gender\na,F\nb,X\nc,\nd,M\nx,M\n", GENDER)
    assert found.targets == (GENDER,)
    assert [p.labels["Gender"].tolist() for p in found.pictures] == [[0], [-1], [-1], [1]]
    assert [line for line, _ in problems(found)] == [3, 6]
    assert found.problems[0].message == "Gender 'X' is not one of F, M"
    assert found.unsure == {"": 1}


def test_classes_are_in_the_declared_order_and_need_not_all_be_there(images: Path) -> None:
    target = parse_target("mask:mask,incorrect,bare")
    found = load(images, "image,mask\na,bare\nb,mask\n", target)
    assert [p.labels["mask"].tolist() for p in found.pictures] == [[2], [0]]


@pytest.mark.parametrize("value", [*UNSURE, "NOT SURE", "N/A", " NaN "])
@pytest.mark.parametrize("target", ["Gender", GENDER])
def test_unsure_values_are_no_labels(images: Path, value: str, target: str | Target) -> None:
    found = load(images, f"image,Gender\na,F\nb,M\nc,{value}\n", target)
    assert found.targets[0].values == ("F", "M")
    assert found.pictures[2].labels["Gender"].tolist() == [-1]
    assert found.problems == [] and found.unsure == {value.strip(): 1}


def test_an_unsure_value_counts_where_it_is_declared(images: Path) -> None:
    found = load(images, "image,mask\na,none\nb,mask\nc,?\n", parse_target("mask:none,mask"))
    assert found.unsure == {"?": 1}
    assert [p.labels["mask"].tolist() for p in found.pictures] == [[0], [1], [-1]]


def test_several_targets(images: Path) -> None:
    found = load(images, "image,Gender,age,Tag\na,F,old,1\nb,M,?,2\nc,?,young,3\n", GENDER, "Age")
    assert [target.column for target in found.targets] == ["Gender", "Age"]
    assert [p.labels["Gender"].tolist() for p in found.pictures] == [[0], [1], [-1]]
    assert [p.labels["Age"].tolist() for p in found.pictures] == [[0], [-1], [1]]
    assert [p.extra for p in found.pictures] == [{"Tag": ["1"]}, {"Tag": ["2"]}, {"Tag": ["3"]}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_blank_lines_and_cells_of_several_lines(images: Path, encoding: str, end: str) -> None:
    text = end.join(["image,Note,Gender", "", 'a,"two', 'lines, ""é""",F', "b,,M", "c", "x,,M"])
    found = read(write(images, text, encoding), images, ["Gender"])
    assert [p.lines for p in found.pictures] == [[3], [5], [6]]
    assert found.pictures[0].extra["Note"][0].endswith('lines, "é"')
    assert found.pictures[2].labels["Gender"].tolist() == [-1]
    assert [line for line, _ in problems(found)] == [7]


@pytest.mark.parametrize(
    ("text", "targets", "reason"),
    [
        ("", ["Gender"], "the file is empty"),
        ("\n\n", ["Gender"], "the file is empty"),
        ("image,Gender\n", ["Gender"], "no usable rows"),
        (
            "image,Gender\nx,F\ny,M\n",
            ["Gender"],
            "no usable rows; the first problem: .*index.csv:2: no picture 'x'",
        ),
        ("image,Age\na,7\n", ["Gender"], "no label column 'Gender'; it has image, Age"),
        ("file,Gender\na,F\n", ["Gender"], "no column Image_Name, image or path .* it has file, Gender"),
        ("image,Gender,gender\na,F,F\n", ["Gender"], "two columns are called 'Gender'"),
        ("image,x1,y1,Gender\na,1,1,F\n", ["Gender"], "boxes need the columns x1, y1, x2, y2"),
        ("image,x1,y1,x2,y2,Gender\na,1,1,2,2,F\n", ["x1"], "no label column 'x1'"),
        ("image,Gender\na,F\nb,F\n", ["Gender"], "only one class, 'F', has pictures$"),
        ("image,Gender\na,F\nx,M\n", ["Gender"], "only one class, 'F'"),
        ("image,Gender\na,F\nb,\n", [GENDER], "only one class, 'F'"),
        ("image,Gender\na,\nb,\n", ["Gender"], "Gender: no picture has a label$"),
        (
            "image,Gender\na,?\nb,\n",
            ["Gender"],
            r"Gender: no picture has a label; values that are not labels: '\?'$",
        ),
        (
            "image,Gender\na,none\nb,M\n",
            ["Gender"],
            "only one class, 'M', has pictures; values that are not labels: 'none'$",
        ),
        ("image,Gender\na,F\nx,M\n", ["Gender"], "problems in 1 row, the first: .*csv:3: no picture 'x'"),
        (
            "image,Gender\na,f\nb,m\n",
            [GENDER],
            "Gender: no picture has a label that is one of F, M; values that are not labels: 'f', 'm'$",
        ),
        ("image,Gender\na,F\nb,M\n", [], "targets must be one or more"),
        ("image,Gender\na,F\nb,M\n", ["Gender", "gender"], "one or more different columns"),
    ],
)
def test_a_file_that_cannot_be_used(
    images: Path, text: str, targets: list[str | Target], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read(write(images, text), images, targets)


def test_a_file_that_is_no_text(images: Path) -> None:
    with pytest.raises(ValueError, match="not encoded in UTF-8"):
        read(write(images, "image,Gender\na,é\n", "latin-1"), images, ["Gender"])


def test_the_line_that_is_not_utf_8_is_named(images: Path) -> None:
    text = "image,Gender\n" + "a,F\n" * 5000 + "b,é\n"
    with pytest.raises(ValueError, match=r"index\.csv:5002: not encoded in UTF-8"):
        read(write(images, text, "cp1252"), images, ["Gender"])


@pytest.mark.parametrize("delimiter", ";\t")
def test_cells_may_be_parted_by_semicolons_or_tabs(images: Path, delimiter: str) -> None:
    text = 'image,"Note",Gender\na,"1,5",F\nb,,M\n'.replace(",", delimiter).replace(f"1{delimiter}5", "1,5")
    found = load(images, text)
    assert names(found, images) == ["a.jpg", "b.jpeg"]
    assert found.pictures[0].extra == {"Note": ["1,5"]}


def test_an_unclosed_quotation_mark_swallows_no_rows(images: Path) -> None:
    with pytest.raises(ValueError, match=r"index\.csv:3: .*quotation marks"):
        load(images, 'image,Note,Gender\na,,F\nb,"5 inch,M\nc,,M\nd,,F\n')


def test_a_missing_folder_or_file(images: Path) -> None:
    with pytest.raises(NotADirectoryError, match="no such folder"):
        read(write(images, "image,Gender\n"), images / "none", ["Gender"])
    with pytest.raises(FileNotFoundError):
        read(images / "none.csv", images, ["Gender"])


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["F", "M", "X", "?"]), max_size=12))
def test_every_row_is_labelled_once(images: Path, values: list[str]) -> None:
    rows = [f"{PICTURES[i % 3]},0,0,{i + 1},1,{value}" for i, value in enumerate(["F", "M", *values])]
    found = load(images, "image,x1,y1,x2,y2,Gender\n" + "\n".join(rows), GENDER)
    labels = {
        line: label
        for picture in found.pictures
        for line, label in zip(picture.lines, picture.labels["Gender"], strict=True)
    }
    known = {"F": 0, "M": 1}
    assert labels == {i + 2: known.get(value, -1) for i, value in enumerate(["F", "M", *values])}
    assert [line for line, _ in problems(found)] == [i + 4 for i, value in enumerate(values) if value == "X"]
