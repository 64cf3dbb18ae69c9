"""One photograph in several colours: to the colour model, several people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
"""A photograph of one face."""

PLAIN, RED, BLUE = (1, 1, 1), (0.5, 0.6, 1.2), (1.3, 0.7, 0.5)


def tinted(gains: tuple[float, float, float], light: float = 0) -> np.ndarray:
    """The example with its blue, green and red multiplied by `gains`, and `light` added: (H, W, 3) uint8."""
    photo = cv2.imread(str(EXAMPLE)).astype(np.float32)
    return np.clip(photo * np.array(gains, np.float32) + light, 0, 255).astype(np.uint8)


def save(path: Path, gains: tuple[float, float, float] = PLAIN, light: float = 0) -> Path:
    """Write a picture of `tinted`."""
    cv2.imwrite(str(path), tinted(gains, light))
    return path
