from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3fd.embedding.faces import SIDE, cut_out, read_teacher
from s3fd.embedding.run import read_faces


def test_a_face_is_cut_out_with_its_person_and_the_teachers_vector(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    teacher = read_teacher(portraits / "teacher.npz", portraits / "pictures")
    faces = [face for some in cut_out(labels.pictures, "Person", teacher) for face in some]
    assert len(faces) == 23  # the last of nobody known has no vector either
    assert [face.person for face in faces[:4]] == [0, 1, 2, -1]
    assert faces[5].vector is not None and faces[5].vector.argmax() == 1
    assert faces[20].vector is None and faces[20].person == 0
    assert faces[0].size == (pytest.approx(SIDE / 2), pytest.approx(SIDE / 2))
    pixels = faces[0].decode().astype(int)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert abs(pixels[2, 2] - 127).max() < 20  # beside the box
    assert abs(pixels[SIDE // 2, SIDE // 2] - 127).max() > 20


def test_a_teachers_file_that_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=["a"])
    with pytest.raises(ValueError, match="not an archive"):
        read_teacher(tmp_path / "a.npz", tmp_path)
    np.savez(tmp_path / "b.npz", images=["a"], boxes=np.zeros((2, 4)), vectors=np.zeros((1, 8)))
    with pytest.raises(ValueError, match="do not match"):
        read_teacher(tmp_path / "b.npz", tmp_path)


@pytest.mark.parametrize("kind", ["cut off", "empty", "one array", "no box", "no direction"])
def test_a_damaged_file_of_a_teacher_is_named(portraits: Path, kind: str) -> None:
    file = portraits / "teacher.npz"
    if kind == "cut off":
        file.write_bytes(file.read_bytes()[:-40])
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "one array":
        with file.open("wb") as out:
            np.save(out, np.zeros(3))
    else:
        box, vectors = ([np.nan] * 4, np.eye(2)) if kind == "no box" else ([0] * 4, np.ones((2, 2)))
        np.savez(file, images=["a", "b"], boxes=[box, box], vectors=vectors)
    with pytest.raises(ValueError, match=r"teacher\.npz: "):
        read_teacher(file, portraits)


def test_pictures_without_a_face_to_learn_from_are_named(portraits: Path) -> None:
    rows = ["image,x1,y1,x2,y2,Person", "0.png,30,20,90,80,ann", "0.png,130,20,190,80,bob"]
    rows += ["1.png,30,120,90,180,bob", "2.png,30,20,90,80,cyd", "3.png,300,20,900,80,"]
    (portraits / "outside.csv").write_text("\n".join(rows), encoding="utf-8")
    (portraits / "pictures" / "2.png").write_bytes(b"no picture")
    labels = read_faces(portraits / "outside.csv", portraits / "pictures", "Person")
    left_out: list[str] = []
    found = list(cut_out(labels.pictures, "Person", None, left_out.append))
    assert [[face.person for face in faces] for faces in found] == [[0], [], [], []]
    assert [why.partition(": ")[2] for why in left_out] == [
        "no labelled box lies inside the picture",
        "not a picture of a known format",
    ]


def test_without_a_teacher_faces_with_a_name_are_cut_out(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    faces = [face for some in cut_out(labels.pictures, "Person", None) for face in some]
    assert len(faces) == 18 and all(face.person >= 0 for face in faces)
