"""What turns faces into vectors: one interface, whatever stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.inference.pictures import Pixels


@dataclass(frozen=True)
class Model:
    """What made a vector. Vectors of different models cannot be compared.

    Attributes:
        name: for people to read.
        digest: SHA-256, in hexadecimal, of all that decides what the vectors are.
        dimension: of the vectors.
    """

    name: str
    digest: str
    dimension: int


class Recogniser(Protocol):
    """Gives every face of a picture a vector whose cosine with another says how alike the two are.

    A recogniser may crop the faces and show them to a network, or read a column of `Faces` that the detector
    filled in the same pass: whoever calls it need not know.
    """

    @property
    def model(self) -> Model:
        """What makes the vectors."""
        ...

    def embed(self, picture: Pixels, faces: Faces) -> FloatArray:
        """Vectors (N, D) of length 1 of the `faces`, whose boxes are in pixels of `picture` (H, W, 3) BGR."""
        ...
