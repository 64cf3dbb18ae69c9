"""Faces cut out of their pictures once, to be shown again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.identity.crops import square_crops
from s3fd.inference.pictures import Pixels

CONTEXT = 0.5
"""What a cut-out shows on each side of the box, in parts of the box's longer side."""

QUALITY = 95
"""Of the JPEG in which a cut-out waits: a tenth of the memory of its pixels."""

BLURRED = 0.2
"""Share of the faces that are seen as if they had been enlarged."""

LEFT = (0.35, 0.8)
"""What is left of their pixels, in each direction."""


@dataclass(frozen=True, eq=False)
class CutOut:
    """A face and what surrounds it.

    Attributes:
        jpeg: the cut-out, a square, the box's centre in its middle.
        size: (width, height) of the box in pixels of the cut-out.
    """

    jpeg: bytes
    size: tuple[float, float]

    @property
    def side(self) -> float:
        """Geometric mean of the box's sides, in pixels of the cut-out."""
        return math.sqrt(self.size[0] * self.size[1])

    def decode(self) -> NDArray[np.uint8]:
        """The pixels (S, S, 3) BGR."""
        pixels = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return np.asarray(pixels, np.uint8)


def cut_out(picture: Pixels, box: FloatArray, side: int) -> CutOut:
    """Cut the face in `box` (4,) out of a picture, as a square of `side` pixels."""
    (crop,) = square_crops(picture, box[None], side, CONTEXT)
    scale = side / (float((box[2:] - box[:2]).max()) * (1 + 2 * CONTEXT))
    width, height = (float(length) * scale for length in box[2:] - box[:2])
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return CutOut(data.tobytes(), (width, height))


def blur(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take detail from some cut-outs (S, S, 3), so that poor pictures are met at every size."""
    if rng.random() >= BLURRED:
        return pixels
    side = len(pixels)
    small = int(rng.uniform(*LEFT) * side)
    shrunk = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (side, side)), np.uint8)
