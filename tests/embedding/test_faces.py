from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3fd.embedding.faces import SIDE, cut_out, read_teacher
from s3fd.embedding.run import read_faces
from s3fd.embedding.stream import FaceStream, decode


def test_a_face_is_cut_out_with_its_person_and_the_teachers_vector(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    teacher = read_teacher(portraits / "teacher.npz", portraits / "pictures")
    faces = [face for some in cut_out(labels.pictures, "Person", teacher) for face in some]
    assert len(faces) == 23  # the last of nobody known has no vector either
    assert [face.person for face in faces[:4]] == [0, 1, 2, -1]
    assert faces[5].vector is not None and faces[5].vector.argmax() == 1
    assert faces[20].vector is None and faces[20].person == 0
    assert faces[0].size == (pytest.approx(SIDE / 2), pytest.approx(SIDE / 2))
    pixels = decode(faces[0]).astype(int)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert abs(pixels[2, 2] - 127).max() < 20  # beside the box
    assert abs(pixels[SIDE // 2, SIDE // 2] - 127).max() > 20


def test_a_teachers_file_that_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=["a"])
    with pytest.raises(ValueError, match="not an archive"):
        read_teacher(tmp_path / "a.npz", tmp_path)
    np.savez(tmp_path / "b.npz", images=["a"], boxes=np.zeros((2, 4)), vectors=np.zeros((1, 8)))
    with pytest.raises(ValueError, match="1 images"):
        read_teacher(tmp_path / "b.npz", tmp_path)


def test_the_stream_shows_faces_at_the_size_of_the_layer_and_is_the_same_every_time(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    faces = [face for some in cut_out(labels.pictures, "Person", None) for face in some]
    assert len(faces) == 18  # those with a name
    stream = FaceStream(faces, (2, 3), (0.5, 0.5), 8, 8, seed=3)
    batches = list(stream.batches(0, 12))
    assert {batch.level for batch in batches} == {0, 1}
    for batch in batches:
        side = 128 << batch.level
        assert batch.pictures.shape == (8 >> batch.level, 3, side, side)
        assert ((batch.centres - side / 2).abs() <= 16 << batch.level).all()
        assert not batch.vectors.any()
    again = next(FaceStream(faces, (2, 3), (0.5, 0.5), 8, 8, seed=3).batches(5, 6))
    assert again.pictures.equal(batches[5].pictures) and again.centres.equal(batches[5].centres)
    with pytest.raises(ValueError, match="one share a layer"):
        FaceStream(faces, (2, 3), (1.0,), 8, 8, seed=3)


def test_the_centre_that_is_told_is_where_the_face_is(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    (face,) = next(iter(cut_out(labels.pictures, "Person", None)))
    batch = next(FaceStream([face], (2,), (1.0,), 8, 8, seed=0).batches(0, 1))
    for picture, centre in zip(batch.pictures, batch.centres, strict=True):
        pixels = picture.permute(1, 2, 0).numpy().astype(int)
        grey = np.abs(pixels - np.median(pixels.reshape(-1, 3), axis=0)).max(axis=2) > 40
        y, x = np.nonzero(grey)
        middle = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
        assert np.abs(np.array(middle) - centre.numpy()).max() < 12
