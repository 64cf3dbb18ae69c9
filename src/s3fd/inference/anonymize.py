"""Make faces unrecognisable: a pure function on pixels.

Blurring and pixelating both replace a face by a few mean colours, whatever its size: as little is left of a
face of 2,000 pixels as of one of 20. A Gaussian blur is avoided because it can be partly undone: it only
weakens detail, where a mean over a large cell removes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.inference.pictures import Pixels

Mode = Literal["blur", "pixelate", "fill"]
"""Mean colours that blend into each other, mean colours as squares, or the same colour for all faces."""

Shape = Literal["ellipse", "box"]
"""What is covered: the box with its margin, or the ellipse inscribed in that."""

CELLS = 5
"""Mean colours that are left along a face's longer side at strength 1. People recognise faces that they know
from about 12 × 14 (Sinha and others, "Face recognition by humans", 2006), and occasionally from half that."""

MARGIN = 0.25
"""Margin that is covered around the box, as a fraction of its sides: hair and ears reveal a lot, and boxes
are not exact. From 0.21 up (half of √2 − 1), the ellipse contains the whole box."""

FILL = (127, 127, 127)
"""Grey, BGR: not even the colour of the skin remains."""


@dataclass(frozen=True)
class Style:
    """How faces are made unrecognisable.

    Attributes:
        mode: ``blur``, ``pixelate`` or ``fill``.
        strength: divisor of `CELLS`, the number of colours left along a face's longer side, 1 or more; it has
            no effect on ``fill``.
        margin: margin that is covered on each side of the box, as a fraction of the box's own side, 0 or
            more.
        shape: ``ellipse`` or ``box``.
    """

    mode: Mode = "blur"
    strength: float = 1.0
    margin: float = MARGIN
    shape: Shape = "ellipse"

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid value."""
        for value, known in ((self.mode, get_args(Mode)), (self.shape, get_args(Shape))):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        if not 1 <= self.strength < math.inf:
            raise ValueError(f"strength must be 1 or more, not {self.strength}")
        if not 0 <= self.margin < math.inf:
            raise ValueError(f"margin must be 0 or more, not {self.margin}")


def anonymize(pixels: Pixels, boxes: FloatArray, style: Style | None = None) -> Pixels:
    """Copy a picture (H, W, 3), and make the contents of the boxes (N, 4), in its pixels, unrecognisable.

    Pixels outside the ellipses or boxes stay as they are. Where several overlap, pixels are hidden again each
    time, so that nothing of the original shows.
    """
    style = style or Style()
    canvas = pixels.copy()
    for box in boxes.astype(float).tolist():
        _hide(canvas, box, style)
    return canvas


def _hide(canvas: Pixels, box: list[float], style: Style) -> None:
    """Make the contents of one box unrecognisable, in place; an empty box has nothing to hide."""
    x1, y1, x2, y2 = box
    if x1 >= x2 or y1 >= y2:
        return
    dx, dy = (0.5 + style.margin) * (x2 - x1), (0.5 + style.margin) * (y2 - y1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    height, width = canvas.shape[:2]
    left, top = max(0, math.floor(x - dx)), max(0, math.floor(y - dy))
    right, bottom = min(width, math.ceil(x + dx)), min(height, math.ceil(y + dy))
    if left >= right or top >= bottom:
        return
    region = canvas[top:bottom, left:right]
    hidden = _obscure(region, max(x2 - x1, y2 - y1), style)
    if style.shape == "box":
        region[:] = hidden
        return
    covered = _ellipse(left - x, right - x, dx) + _ellipse(top - y, bottom - y, dy).T <= 1
    region[covered] = hidden[covered]


def _ellipse(start: float, end: float, radius: float) -> NDArray[np.float64]:
    """One axis's term of the ellipse's equation at every pixel from `start` to `end`, (1, pixels).

    The term is that of the pixel's point nearest to the centre, so that pixels that the ellipse only touches
    are covered too.
    """
    first = start + np.arange(round(end - start), dtype=np.float64)[None]
    nearest = np.where(first > 0, first, np.minimum(first + 1, 0))
    squared: NDArray[np.float64] = (nearest / radius) ** 2
    return squared


def _obscure(region: Pixels, face: float, style: Style) -> Pixels:
    """The cover for a region (H, W, 3) around a face whose longer side has `face` pixels."""
    if style.mode == "fill":
        return np.full_like(region, FILL)
    height, width = region.shape[:2]
    cell = max(1.0, face * style.strength / CELLS)
    cells = max(1, round(width / cell)), max(1, round(height / cell))
    means = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    method = cv2.INTER_NEAREST if style.mode == "pixelate" else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(means, (width, height), interpolation=method), dtype=np.uint8)
