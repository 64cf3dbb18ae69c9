"""The faces that an embedding is trained on: each cut out once, with its person and a teacher's vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.data.labels import NOT_KNOWN, LabelledPicture
from s3fd.identity.vectors import normalise
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training import cutouts
from s3fd.training.cutouts import CutOut
from s3fd.weights.digest import sha256

SIDE = 176
"""Side of a cut-out in pixels: a face has 88 there, about as many as in LFW's own pictures."""


@dataclass(frozen=True, eq=False)
class Face(CutOut):
    """A face to train on, cut out with a side of `SIDE` pixels.

    Attributes:
        person: number of its person, or `NOT_KNOWN`.
        vector: (D,) of length 1, what a teacher says of it; None where there is none.
    """

    person: int
    vector: FloatArray | None


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a recogniser said of faces.

    Attributes:
        vectors: by the path of the picture and the box in whole pixels.
        dimension: of the vectors.
        sha256: of the file that they are from.
    """

    vectors: dict[tuple[str, tuple[int, ...]], FloatArray]
    dimension: int
    sha256: str

    def of(self, path: Path, box: FloatArray) -> FloatArray | None:
        """The vector of a face; None if the teacher did not see it."""
        return self.vectors.get(face_key(path, box))


def read_teacher(file: Path, images: Path) -> Teacher:
    """Read an archive of `images` (N,), paths below the folder `images`, `boxes` (N, 4), `vectors` (N, D).

    What all its vectors have in common, their mean, tells nobody apart: it is taken from each.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such archive.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            names, boxes, vectors = archive["images"], archive["boxes"], archive["vectors"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: not an archive of images, boxes and vectors: {error}") from error
    if boxes.shape != (len(names), 4) or vectors.ndim != 2 or len(vectors) != len(names):
        raise ValueError(f"{file}: {len(names)} images, boxes {boxes.shape} and vectors {vectors.shape}")
    apart = normalise(vectors.astype(np.float32) - vectors.mean(axis=0, dtype=np.float64).astype(np.float32))
    keys = (face_key(images / str(name), box) for name, box in zip(names, boxes, strict=True))
    return Teacher(dict(zip(keys, apart, strict=True)), vectors.shape[1], sha256(file))


def cut_out(items: Sequence[LabelledPicture], column: str, teacher: Teacher | None) -> Iterable[list[Face]]:
    """Yield the faces of each picture; those of whom neither person nor vector is known are left out.

    A picture that cannot be read has none.

    Raises:
        ValueError: a picture without boxes.
    """
    for item in items:
        if item.boxes is None:
            raise ValueError(f"{item.path}: an embedding is trained on boxes, x1, y1, x2 and y2 in the table")
        vectors = [teacher.of(item.path, box) if teacher else None for box in item.boxes]
        persons = item.labels[column]
        wanted = [i for i, vector in enumerate(vectors) if vector is not None or persons[i] != NOT_KNOWN]
        yield _cut(item.path, item.boxes, persons, vectors, wanted) if wanted else []


def _cut(
    path: Path,
    boxes: FloatArray,
    persons: NDArray[np.int64],
    vectors: Sequence[FloatArray | None],
    wanted: Sequence[int],
) -> list[Face]:
    """The `wanted` faces of one picture."""
    try:
        picture = pictures.read(path)
    except PictureError:
        return []
    faces = []
    for i in wanted:
        cut = cutouts.cut_out(picture, boxes[i], SIDE)
        faces.append(Face(cut.jpeg, cut.size, int(persons[i]), vectors[i]))
    return faces


def face_key(path: Path, box: FloatArray) -> tuple[str, tuple[int, ...]]:
    """What a face is found again by."""
    return str(path), tuple(round(float(v)) for v in box)
