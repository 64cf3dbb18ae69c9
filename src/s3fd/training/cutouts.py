"""Face crops that are cut out of their pictures once and reused throughout training."""

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
"""Margin of a cut-out on each side of the box, as a fraction of the box's longer side."""

QUALITY = 95
"""JPEG quality of cut-outs in memory: compressed, they take a tenth of the memory of their pixels."""

BLURRED = 0.2
"""Fraction of the faces that are blurred as if they had been enlarged."""

LEFT = (0.35, 0.8)
"""Range of the resolution that such a face keeps, as a fraction along each axis."""


@dataclass(frozen=True, eq=False)
class CutOut:
    """A face and its surroundings.

    Attributes:
        jpeg: the cut-out as a JPEG file: a square centred on the box.
        size: (width, height) of the box in pixels of the cut-out.
    """

    jpeg: bytes
    size: tuple[float, float]

    @property
    def side(self) -> float:
        """Geometric mean of the box's sides, in pixels of the cut-out."""
        return math.sqrt(self.size[0] * self.size[1])

    def decode(self) -> NDArray[np.uint8]:
        """Decode the pixels (S, S, 3) BGR."""
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
    """Blur some of the cut-outs (S, S, 3), so that low-quality pictures occur at every size."""
    if rng.random() >= BLURRED:
        return pixels
    side = len(pixels)
    small = int(rng.uniform(*LEFT) * side)
    shrunk = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (side, side)), np.uint8)
