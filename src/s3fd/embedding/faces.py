"""Faces for training an embedding: each is cut out once, with its person and a teacher's vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.labels import NOT_KNOWN, LabelledPicture
from s3fd.identity.vectors import normalise
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training import cutouts
from s3fd.training.composer import NONE_INSIDE
from s3fd.training.cutouts import CutOut
from s3fd.weights.digest import sha256

SIDE = 176
"""Side of a cut-out in pixels; the longer side of the face takes 88 of them, about as in LFW's pictures."""


@dataclass(frozen=True, eq=False)
class Face(CutOut):
    """A face to train on, cut out with a side of `SIDE` pixels.

    Attributes:
        person: index of the person, or `NOT_KNOWN`.
        vector: (D,) of length 1, the teacher's vector of the face; None if there is none.
    """

    person: int
    vector: FloatArray | None


@dataclass(frozen=True, eq=False)
class Teacher:
    """Vectors that a recogniser computed for faces.

    Attributes:
        vectors: the vectors by the path of the picture and the box in whole pixels, see `face_key`.
        dimension: dimension of the vectors.
        sha256: SHA-256 of the file that they are from.
    """

    vectors: dict[tuple[str, tuple[int, ...]], FloatArray]
    dimension: int
    sha256: str

    def of(self, path: Path, box: FloatArray) -> FloatArray | None:
        """Return the vector of a face; None if the teacher has none."""
        return self.vectors.get(face_key(path, box))


def read_teacher(file: Path, images: Path) -> Teacher:
    """Read a NumPy archive of a teacher's vectors.

    The mean of all vectors, which does not distinguish people, is subtracted from each.

    Args:
        file: archive with the arrays ``images`` (N,), ``boxes`` (N, 4) and ``vectors`` (N, D).
        images: folder that the paths in ``images`` are relative to.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not such an archive.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            names, boxes, vectors = archive["images"], archive["boxes"], archive["vectors"]
    except (KeyError, ValueError, EOFError, TypeError, BadZipFile) as error:  # TypeError: a single array
        raise ValueError(
            f"{file}: not an archive with the arrays images, boxes and vectors: {error}"
        ) from error
    if names.ndim != 1 or boxes.shape != (len(names), 4) or vectors.ndim != 2 or len(vectors) != len(names):
        raise ValueError(
            f"{file}: images {names.shape}, boxes {boxes.shape} and vectors {vectors.shape} do not match"
        )
    try:
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        apart = normalise(vectors.astype(np.float32) - mean)
        keys = [face_key(images / str(name), box) for name, box in zip(names, boxes, strict=True)]
    except (ValueError, TypeError, OverflowError) as error:  # not numbers, or not finite
        raise ValueError(f"{file}: {error}") from error
    return Teacher(dict(zip(keys, apart, strict=True)), vectors.shape[1], sha256(file))


def cut_out(
    items: Sequence[LabelledPicture],
    column: str,
    teacher: Teacher | None,
    on_left_out: Callable[[str], None] = lambda reason: None,
) -> Iterable[list[Face]]:
    """Yield the faces of each picture, without those for which neither person nor vector is known.

    Faces whose box is outside the picture are left out. `on_left_out` is called for each picture that cannot
    be read, or that no face is left of, with a message that says so.

    Raises:
        ValueError: a picture has no boxes.
    """
    for item in items:
        if item.boxes is None:
            raise ValueError(f"{item.path}: training an embedding needs boxes (columns x1, y1, x2, y2)")
        vectors = [teacher.of(item.path, box) if teacher else None for box in item.boxes]
        persons = item.labels[column]
        wanted = [i for i, vector in enumerate(vectors) if vector is not None or persons[i] != NOT_KNOWN]
        if not wanted:
            yield []
            continue
        try:
            yield _cut(item.path, item.boxes, persons, vectors, wanted)
        except PictureError as error:
            on_left_out(str(error))
            yield []


def _cut(
    path: Path,
    boxes: FloatArray,
    persons: NDArray[np.int64],
    vectors: Sequence[FloatArray | None],
    wanted: Sequence[int],
) -> list[Face]:
    """Cut out the `wanted` faces of one picture.

    Raises:
        PictureError: the picture cannot be read, or none of these faces lies inside it.
    """
    picture = pictures.read(path)
    inside = box_ops.area(box_ops.clip(boxes, picture.shape[1], picture.shape[0])) > 1
    faces = []
    for i in wanted:
        if inside[i]:
            cut = cutouts.cut_out(picture, boxes[i], SIDE)
            faces.append(Face(cut.jpeg, cut.size, int(persons[i]), vectors[i]))
    if not faces:
        raise PictureError(str(path), NONE_INSIDE)
    return faces


def face_key(path: Path, box: FloatArray) -> tuple[str, tuple[int, ...]]:
    """Return the key of a face: its picture's path and its box in whole pixels."""
    return str(path), tuple(round(float(v)) for v in box)
