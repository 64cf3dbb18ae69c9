"""From a file of pairs and a folder of pictures to what a recogniser says of the pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.evaluation.verification import Pair, Verification, verify
from s3fd.faces import Faces
from s3fd.identity.job import Reader
from s3fd.inference.pictures import PictureError, read

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

NO_FACE = -1.0
"""Score of a pair in one of whose pictures no face is found: it counts as two people."""

Name = tuple[str, int]
"""A person, and the number of the picture."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What a recogniser says of pairs.

    Attributes:
        pairs: in the file's order.
        scores: (N,) cosines; `NO_FACE` where there is none.
        result: the protocol's figures.
        without_face: pictures in which no face was found.
    """

    pairs: Sequence[Pair]
    scores: NDArray[np.float64]
    result: Verification
    without_face: list[str]


def find_pictures(pairs: Iterable[Pair], images: Path) -> dict[Name, Path]:
    """The files of all pictures of `pairs`, ``NAME_0001.jpg`` in `images` or in folders of people's names.

    Raises:
        FileNotFoundError: one that is not there.
    """
    found: dict[Name, Path] = {}
    for pair in pairs:
        for name, number in (pair.first, pair.second):
            if (name, number) not in found:
                found[name, number] = _find(name, number, images)
    return found


def _find(name: str, number: int, images: Path) -> Path:
    """The file of one picture."""
    stem = f"{name}_{number:04d}"
    for folder in (images, images / name):
        for suffix in SUFFIXES:
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    raise FileNotFoundError(f"{images}: no picture {stem}{SUFFIXES[0]}, nor in a folder {name}")


def vector_of(reader: Reader, path: Path) -> FloatArray | None:
    """The vector (D,) of the face in the middle of a picture; None if there is no face, or no picture."""
    try:
        picture = read(path)
    except PictureError:
        return None
    faces = reader.detector(picture)
    if not len(faces):
        return None
    chosen = faces[[middle(faces, picture.shape[1], picture.shape[0])]]
    vector: FloatArray = reader.recogniser.embed(picture, chosen)[0]
    return vector


def middle(faces: Faces, width: int, height: int) -> int:
    """The face that a portrait of `width` × `height` pixels is of: large, and near its middle."""
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    off = np.linalg.norm(centres - (width / 2, height / 2), axis=1)
    return int((faces.sizes - off).argmax())


def judge(
    reader: Reader,
    pairs: Sequence[Pair],
    files: Mapping[Name, Path],
    around: Callable[[Iterable[Name], int], Iterable[Name]] = lambda names, count: names,
) -> Judged:
    """Compare the faces of all `pairs`, whose pictures are `files`; `around` shows how far it is.

    Raises:
        ValueError: fewer than two folds, or pairs all of one kind.
    """
    vectors = {name: vector_of(reader, files[name]) for name in around(files, len(files))}
    scores = np.array([_score(vectors[pair.first], vectors[pair.second]) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    without = [str(files[name]) for name, vector in vectors.items() if vector is None]
    return Judged(pairs, scores, verify(scores, same, folds), without)


def _score(first: FloatArray | None, second: FloatArray | None) -> float:
    """How alike two faces are."""
    return NO_FACE if first is None or second is None else float(first @ second)
