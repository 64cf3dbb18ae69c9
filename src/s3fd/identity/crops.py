"""Face crops for an embedding model."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.inference.pictures import Pixels


def square_crops(picture: Pixels, boxes: FloatArray, size: int, margin: float = 0.0) -> NDArray[np.uint8]:
    """Crop a square around each of `boxes` (N, 4), in pixels of `picture`: (N, size, size, 3) uint8 BGR.

    The square's side is the longer side of the box, extended on each side by `margin` times its length.
    Beyond the edge of the picture, the outermost pixels are repeated. Crops are not aligned, because the
    detector does not predict landmarks.
    """
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    for crop, (x1, y1, x2, y2) in zip(crops, boxes.astype(float), strict=True):
        side = max(1, round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
        left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
        rows = np.clip(np.arange(top, top + side), 0, picture.shape[0] - 1)
        columns = np.clip(np.arange(left, left + side), 0, picture.shape[1] - 1)
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        cv2.resize(picture[rows[:, None], columns], (size, size), dst=crop, interpolation=how)
    return crops
