"""The interface of gallery stores, with the types and checks that all implementations share."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.identity.recogniser import Model

T = TypeVar("T")

SAME = 1e-4
"""Distance between vectors up to which they are the same: whichever is kept, no score, which is told to four
decimals, differs by more. Numbers of threads and processors change a picture's vector by less."""

log = logging.getLogger("s3fd.identity")


class GalleryError(ValueError):
    """Raised for an unusable gallery or a refused request; the message is one line."""


class GalleryUnavailable(OSError):
    """Raised if a gallery's server is unavailable or its file is locked; the message is one line.

    The request itself is valid and may be repeated.
    """


def unwritten(where: str, reason: str) -> None:
    """Warn that a person was removed, but that what holds the gallery could not be rewritten without them."""
    log.warning("the person was removed, but %s could not be rewritten without them: %s", where, reason)


@dataclass(frozen=True)
class Match:
    """A person in the gallery, with the highest cosine with any of their vectors as the score, -1 to 1."""

    name: str
    score: float


@dataclass(frozen=True)
class Calibration:
    """Thresholds calibrated on people who are not in the gallery.

    Attributes:
        identify: lowest score at which a face is identified as somebody.
        verify: lowest score at which a face is that of a given person, by the best of their vectors.
        false_accepts: requested false accept rate, 0–1.
        faces: number of strangers' faces used for calibration.
        vectors: number of vectors in the gallery at that time. The more a gallery has, the more often a
            stranger is identified as somebody.
        pairs: lowest score at which two faces belong to the same person. None in a gallery that was
            calibrated by an earlier version, which used this threshold as `verify` too.
    """

    identify: float
    verify: float
    false_accepts: float
    faces: int
    vectors: int
    pairs: float | None = None

    @property
    def between_faces(self) -> float:
        """The threshold for two faces, also from an earlier version."""
        return self.verify if self.pairs is None else self.pairs


class Store(Protocol):
    """Stores people with their vectors, and is bound to the model that made the vectors."""

    @property
    def model(self) -> Model:
        """The model that made the vectors."""
        ...

    def __enter__(self) -> Store:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the gallery."""
        ...

    def close(self) -> None:
        """Close the gallery."""
        ...

    def check(self) -> None:
        """Raise OSError if the gallery is gone or unavailable; it must then be opened again."""
        ...

    def add(self, name: str, vectors: FloatArray, sources: Sequence[str]) -> int:
        """Add vectors (N, D) to a person, with the source of each: all that are `new` to them, or none.

        The name is stored `composed`. Returns the number of vectors that were added.
        """
        ...

    def remove(self, name: str) -> int:
        """Delete a person permanently, in all `spellings` of the name; return the number of their vectors.

        Raises:
            GalleryError: nobody has this name.
        """
        ...

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name."""
        ...

    def search(self, vector: FloatArray, count: int = 1) -> list[Match]:
        """Return the `count` people most similar to `vector` (D,), best first. The search is exact."""
        ...

    def vectors_of(self, name: str) -> FloatArray:
        """Return a person's vectors (N, D), in all `spellings` of the name.

        Raises:
            GalleryError: nobody has this name.
        """
        ...

    @property
    def calibration(self) -> Calibration | None:
        """The thresholds, or None if the gallery is not calibrated."""
        ...

    def calibrate(self, calibration: Calibration) -> None:
        """Store the thresholds."""
        ...


def nobody(name: str) -> GalleryError:
    """Return the error for a name that nobody in the gallery has."""
    return GalleryError(f"nobody in this gallery is called {name!r}")


def parse(kind: type[T], text: str) -> T:
    """Recreate a `Model` or `Calibration` from its JSON in a gallery; raises GalleryError if damaged."""
    try:
        return kind(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise GalleryError(f"the gallery is damaged: {kind.__name__}: {error}") from error


def composed(name: str) -> str:
    """Return a name in Unicode's form NFC, as galleries store it: an accent is part of its letter.

    In the names of folders, macOS may spell the same name with the accent as a separate character.
    """
    return unicodedata.normalize("NFC", name)


def trimmed(name: str) -> str:
    """Return a name as people are enrolled: `composed`, and without surrounding whitespace."""
    return composed(name).strip()


def spellings(name: str) -> list[str]:
    """Return the three spellings that a name may have in a gallery: `composed`, decomposed, and as given.

    Galleries made by earlier versions store names as they were given.
    """
    return [composed(name), unicodedata.normalize("NFD", name), name]


def check_vectors(model: Model, name: str, vectors: FloatArray, sources: Sequence[str]) -> None:
    """Check the vectors (N, D) to be added to a person.

    Raises:
        GalleryError: the name is empty.
        ValueError: the vectors have another shape or length, or there is not one source for each.
    """
    if not name.strip():
        raise GalleryError("a person needs a name")
    if vectors.shape != (len(sources), model.dimension):
        raise ValueError(f"expected {len(sources)} × {model.dimension} numbers, not {vectors.shape}")
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise ValueError("vectors must have length 1")


def new(known: FloatArray, vectors: FloatArray) -> NDArray[np.intp]:
    """Return the indices of the `vectors` (N, D) that are neither `known` (M, D) nor among those before.

    The same picture may have been added before: a vector at most `SAME` away from another is the same.
    """
    ours = vectors.astype(np.float64)
    others = np.concatenate([known, vectors]).astype(np.float64)
    squared = (ours**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * ours @ others.T
    before = np.tri(len(vectors), len(others), len(known) - 1, dtype=bool)
    return np.flatnonzero(~((squared <= SAME**2) & before).any(axis=1))


def check_query(model: Model, vector: FloatArray) -> None:
    """Raise ValueError unless `vector` has shape (D,), with the dimension of `model`."""
    if vector.shape != (model.dimension,):
        raise ValueError(f"expected a vector of {model.dimension} numbers, not {vector.shape}")


def check_model(store: Store, model: Model) -> None:
    """Raise GalleryError unless the store's vectors can be compared with those of `model`."""
    if store.model.digest != model.digest or store.model.dimension != model.dimension:
        ours, theirs = store.model, model
        raise GalleryError(
            f"this gallery was made with {ours.name} ({ours.digest[:12]}, {ours.dimension} numbers); vectors "
            f"of {theirs.name} ({theirs.digest[:12]}, {theirs.dimension} numbers) cannot be compared with it"
        )
