"""A network that finds plain squares on black, and fails where S³FD does.

Red and blue squares of 6 to 280 pixels are found whole. Of a larger one it sees two parts, and of one that
the edge of its picture cuts off, what is left. An attribute, the colour, is told of every square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import cv2
import numpy as np

from s3fd.inference.runtime import AnchorOutputs

COLOURS = {"red": (0, 0, 255), "blue": (255, 0, 0)}
SMALLEST, LARGEST = 6, 280
PART = 150
WHOLE_SCORE, PART_SCORE = 0.9, 0.7


class SquareFinder:
    """Answers as `s3fd.inference.runtime.Runtime`, and notes the (height, width) of what it sees."""

    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({"colour": tuple(COLOURS)})

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> AnchorOutputs:
        assert pictures.dtype == np.uint8 and pictures.shape[0] == 1 and pictures.shape[3] == 3
        picture = pictures[0]
        self.shapes.append(picture.shape[:2])
        found: list[tuple[float, list[int], int]] = []
        for colour, channel in enumerate((2, 0)):
            bright = (picture[:, :, channel] > 127).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
            for x, y, w, h, _ in stats[1:].tolist():
                side = max(w, h)
                if SMALLEST <= side <= LARGEST:
                    found.append((WHOLE_SCORE, [x, y, x + w, y + h], colour))
                elif side > LARGEST:  # as eyes of a face that is too large
                    width, height = min(w, PART), min(h, PART)
                    found.append((PART_SCORE, [x, y, x + width, y + height], colour))
                    found.append((PART_SCORE, [x + w - width, y + h - height, x + w, y + h], colour))
        told = np.zeros((1, len(found), 2), np.float32)
        told[0, range(len(found)), [colour for _, _, colour in found]] = 1
        return AnchorOutputs(
            np.array([[score for score, _, _ in found]], np.float32).reshape(1, -1),
            np.array([box for _, box, _ in found], np.float32).reshape(1, -1, 4),
            {"colour": told} if attributes else {},
        )
