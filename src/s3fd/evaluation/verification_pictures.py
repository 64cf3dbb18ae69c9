"""Find the pictures of pairs and compare their faces with a recogniser."""

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
"""Score of a pair with a picture in which no face is found: it counts as different people."""

Name = tuple[str, int]
"""A person's name and the number of the picture."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs as scored by a recogniser.

    Attributes:
        pairs: the pairs in the order of their file.
        scores: (N,) cosine similarities; `NO_FACE` where a picture has no face.
        result: results of the protocol.
        without_face: pictures in which no face was found.
    """

    pairs: Sequence[Pair]
    scores: NDArray[np.float64]
    result: Verification
    without_face: list[str]


def find_pictures(pairs: Iterable[Pair], images: Path) -> dict[Name, Path]:
    """Find the files of all pictures of `pairs`.

    They are called ``NAME_0001.jpg``, and lie in `images` or in one folder per person below it.

    Raises:
        FileNotFoundError: a picture is missing.
    """
    found: dict[Name, Path] = {}
    for pair in pairs:
        for name, number in (pair.first, pair.second):
            if (name, number) not in found:
                found[name, number] = _find(name, number, images)
    return found


def _find(name: str, number: int, images: Path) -> Path:
    """Find the file of one picture."""
    stem = f"{name}_{number:04d}"
    for folder in (images, images / name):
        for suffix in SUFFIXES:
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    raise FileNotFoundError(
        f"{images}: no picture {stem}{SUFFIXES[0]}, neither directly in it nor in a folder {name}"
    )


def vector_of(reader: Reader, path: Path) -> FloatArray | None:
    """Return the vector (D,) of a picture's `middle` face; None if it has no face or cannot be read."""
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
    """Return the index of the main face of a `width` × `height` portrait: large and near the centre."""
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    off = np.linalg.norm(centres - (width / 2, height / 2), axis=1)
    return int((faces.sizes - off).argmax())


def judge(
    reader: Reader,
    pairs: Sequence[Pair],
    files: Mapping[Name, Path],
    around: Callable[[Iterable[Name], int], Iterable[Name]] = lambda names, count: names,
) -> Judged:
    """Compare the faces of all `pairs`, whose pictures are `files`; `around` wraps them to show progress.

    Raises:
        ValueError: there are fewer than two folds, or all pairs are of one kind.
    """
    vectors = {name: vector_of(reader, files[name]) for name in around(files, len(files))}
    scores = np.array([_score(vectors[pair.first], vectors[pair.second]) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    without = [str(files[name]) for name, vector in vectors.items() if vector is None]
    return Judged(pairs, scores, verify(scores, same, folds), without)


def _score(first: FloatArray | None, second: FloatArray | None) -> float:
    """Return the cosine similarity of two faces; `NO_FACE` if one is missing."""
    return NO_FACE if first is None or second is None else float(first @ second)
