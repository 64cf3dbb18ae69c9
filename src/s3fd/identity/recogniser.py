"""The interface of recognisers, which turn faces into vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from s3fd.boxes import FloatArray
from s3fd.faces import Faces

if TYPE_CHECKING:
    from s3fd.inference.pictures import Pixels


@dataclass(frozen=True)
class Model:
    """The model that made a vector. Vectors of different models cannot be compared.

    Attributes:
        name: human-readable name.
        digest: SHA-256, in hexadecimal, of everything that determines the vectors.
        dimension: dimension of the vectors.
    """

    name: str
    digest: str
    dimension: int


class Recogniser(Protocol):
    """Computes a vector for every face in a picture; the cosine of two vectors is their similarity.

    A recogniser may run a network on crops of the faces, or read the vectors that the detector stored in
    `Faces` in the same pass. Callers need not know which.
    """

    @property
    def model(self) -> Model:
        """The model that makes the vectors."""
        ...

    def embed(self, picture: Pixels, faces: Faces) -> FloatArray:
        """Return vectors (N, D) of length 1 of `faces`, with boxes in pixels of `picture` (H, W, 3) BGR."""
        ...
