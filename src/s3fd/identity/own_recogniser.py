"""The network's own embedding, in the pass that found the faces."""

from __future__ import annotations

import os
from pathlib import Path

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.recogniser import Model
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import EmbeddingOutput, Runtime


class OwnRecogniser:
    """Reads the vectors that the detector has given its faces already: see `Recogniser`."""

    def __init__(self, embedding: EmbeddingOutput, name: str) -> None:
        """Stand for the `embedding` of the weights called `name`."""
        self.model = Model(name, embedding.digest, embedding.dimension)

    def embed(self, picture: Pixels, faces: Faces) -> FloatArray:
        """Vectors (N, D) of length 1 of the `faces`; `picture` is not looked at again.

        Raises:
            ValueError: faces of a detector that was not asked for embeddings.
        """
        if faces.embeddings is None:
            raise ValueError("these faces have no embeddings: open the detector with embeddings=True")
        return faces.embeddings


def own_recogniser(runtime: Runtime, weights: str | os.PathLike[str]) -> OwnRecogniser:
    """Stand for the embedding of a `runtime` opened from `weights`; raises ValueError if it has none."""
    if runtime.embedding is None:
        raise ValueError(
            f"{weights} has no embedding of its own: give a model with --recogniser, or weights of s3fd embed"
        )
    return OwnRecogniser(runtime.embedding, Path(weights).stem)
