"""The detector's own embedding, computed in the same pass as the faces."""

from __future__ import annotations

import os
from pathlib import Path

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.recogniser import Model
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import EmbeddingOutput, Runtime


class OwnRecogniser:
    """A `Recogniser` that reads the vectors that the detector has already computed for its faces."""

    def __init__(self, embedding: EmbeddingOutput, name: str) -> None:
        """Use the `embedding` of the weights called `name`."""
        self.model = Model(name, embedding.digest, embedding.dimension)

    def embed(self, picture: Pixels, faces: Faces) -> FloatArray:
        """Return the vectors (N, D) of length 1 of the `faces`; `picture` is not used.

        Raises:
            ValueError: the faces come from a detector that was opened without embeddings.
        """
        if faces.embeddings is None:
            raise ValueError("these faces have no embeddings: open the detector with embeddings=True")
        return faces.embeddings


def own_recogniser(runtime: Runtime, weights: str | os.PathLike[str]) -> OwnRecogniser:
    """Use the embedding of a `runtime` opened from `weights`. Raises ValueError if it has none."""
    if runtime.embedding is None:
        raise ValueError(
            f"{weights} has no embedding: pass a model with --recogniser, or use weights from `s3fd embed`"
        )
    return OwnRecogniser(runtime.embedding, Path(weights).stem)
