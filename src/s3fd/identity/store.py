"""Where a gallery keeps its people: the interface, and what every implementation answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.identity.recogniser import Model


class GalleryError(ValueError):
    """A gallery that cannot be used, or a request that it refuses; the message is one line."""


class GalleryUnavailable(OSError):
    """A gallery that cannot be asked now, as its server is away or its file locked; the message is one line.

    Nothing is wrong with what was asked, which may be asked again.
    """


@dataclass(frozen=True)
class Match:
    """A person of the gallery, and how alike: the best cosine with any of the person's vectors, -1 to 1."""

    name: str
    score: float


@dataclass(frozen=True)
class Calibration:
    """Thresholds fitted to people who are not in the gallery.

    Attributes:
        identify: least score at which somebody is identified.
        verify: least score at which two pictures show the same person.
        false_accepts: the rate that was asked for, 0–1.
        faces: of strangers, that it was fitted to.
        vectors: in the gallery then: with more of them strangers find somebody more often.
    """

    identify: float
    verify: float
    false_accepts: float
    faces: int
    vectors: int


class Store(Protocol):
    """People with their vectors, bound to the model that made these."""

    @property
    def model(self) -> Model:
        """What made the vectors."""
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
        """Raise OSError if the gallery is no longer there, or not now: it must be opened anew then."""
        ...

    def add(self, name: str, vectors: FloatArray, sources: Sequence[str]) -> None:
        """Add vectors (N, D) of a person, with where each comes from: all of them or none.

        The name is kept `composed`.
        """
        ...

    def remove(self, name: str) -> int:
        """Delete a person for good, in all `spellings` of the name; return how many vectors there were.

        Raises:
            GalleryError: nobody of that name.
        """
        ...

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name."""
        ...

    def search(self, vector: FloatArray, count: int = 1) -> list[Match]:
        """The `count` people most like `vector` (D,), best first; exact."""
        ...

    def vectors_of(self, name: str) -> FloatArray:
        """Vectors (N, D) of a person, in all `spellings` of the name. GalleryError: nobody of that name."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """The thresholds, if there are any."""
        ...

    def calibrate(self, calibration: Calibration) -> None:
        """Keep these thresholds."""
        ...


def composed(name: str) -> str:
    """A name as galleries keep it: in Unicode's form NFC, in which an accent is a part of its letter.

    macOS may spell the same name with the accent as a character of its own in the names of folders.
    """
    return unicodedata.normalize("NFC", name)


def spellings(name: str) -> list[str]:
    """The three names that a person may have in a gallery: `composed`, decomposed, and as it is asked for.

    Galleries of earlier versions have names as they were given.
    """
    return [composed(name), unicodedata.normalize("NFD", name), name]


def check_vectors(model: Model, name: str, vectors: FloatArray, sources: Sequence[str]) -> None:
    """Refuse vectors (N, D) that cannot be added as those of a person.

    Raises:
        GalleryError: no name.
        ValueError: another shape or length, or not a source for each.
    """
    if not name.strip():
        raise GalleryError("a person needs a name")
    if vectors.shape != (len(sources), model.dimension):
        raise ValueError(f"expected {len(sources)} × {model.dimension} numbers, not {vectors.shape}")
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise ValueError("vectors must have length 1")


def check_query(model: Model, vector: FloatArray) -> None:
    """Raise ValueError for a vector that is not one (D,) of `model`'s dimension."""
    if vector.shape != (model.dimension,):
        raise ValueError(f"expected a vector of {model.dimension} numbers, not {vector.shape}")


def check_model(store: Store, model: Model) -> None:
    """Raise GalleryError unless the store's vectors can be compared with those of `model`."""
    if store.model.digest != model.digest or store.model.dimension != model.dimension:
        ours, theirs = store.model, model
        raise GalleryError(
            f"this gallery is made by {ours.name} ({ours.digest[:12]}, {ours.dimension} numbers); vectors of "
            f"{theirs.name} ({theirs.digest[:12]}, {theirs.dimension} numbers) cannot be compared with it"
        )
