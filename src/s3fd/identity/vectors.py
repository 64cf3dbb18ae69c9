"""Face vectors, of length 1, so that the cosine of two is their inner product."""

from __future__ import annotations

import numpy as np

from s3fd.boxes import FloatArray


def normalise(vectors: FloatArray) -> FloatArray:
    """Scale vectors (N, D) to length 1.

    Raises:
        ValueError: a vector has no direction, because it is zero, infinite or not a number.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ValueError("a vector is zero or not finite, so it cannot be scaled to length 1")
    unit: FloatArray = (wide / lengths).astype(np.float32)
    return unit
