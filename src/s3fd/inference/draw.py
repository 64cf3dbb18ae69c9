"""Draw annotated copies of pictures, and cut the faces out of them."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path

import cv2
import numpy as np

from s3fd import boxes
from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.inference.pictures import Pixels
from s3fd.inference.sources import PICTURE_SUFFIXES
from s3fd.weights.atomic import write_atomically

COLOUR = (60, 220, 60)
"""Colour of the boxes and behind the captions, BGR: a green that is rare in skin and clothes."""

OUTLINE = (0, 0, 0)
"""Colour around the boxes and of the text, BGR, so that they are visible on any background."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
MIN_TEXT = 9
"""Height of the smallest digits that are still legible, in pixels."""

WIDEST = 1.6
"""Largest width of a caption relative to its face; a wider one would seem to belong to the next face too."""

MARGIN = 0.25
"""Margin of a cut-out on each side of the box, as a fraction of the box's own side: hair, chin and ears."""

LONGEST_SIDES = {
    ".bmp": 65_535,
    ".jpe": 65_500,
    ".jpeg": 65_500,
    ".jpg": 65_500,
    ".png": 10**6,
    ".tif": 10**6,
    ".tiff": 10**6,
    ".webp": 16_383,
}
"""Formats of annotated copies, and the longest side in pixels that each can hold."""

QUALITY = 95
"""Quality of JPEG and WebP copies, out of 100."""


def draw(pixels: Pixels, faces: Faces) -> Pixels:
    """Copy a picture (H, W, 3) with a box around every face and a caption beside it.

    The caption is the face's score in per cent, or its attributes: see `captions`. Boxes are in pixels of
    this picture. Lines and letters grow with the picture. In a crowd, some captions are shortened or left
    out: those that are much wider than their face even at the smallest legible size, or would hide another
    face.
    """
    canvas = pixels.copy()
    line = max(1, round(math.sqrt(pixels.shape[0] * pixels.shape[1]) / 500))
    corners = np.rint(faces.boxes).astype(int)
    for x1, y1, x2, y2 in corners.tolist():
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), OUTLINE, line + 2)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), COLOUR, line)
    taken = corners.astype(np.float32)
    for i, texts in enumerate(captions(faces)):
        others = np.delete(taken, i, axis=0)
        for text in texts:
            plate = _caption(canvas, text, corners[i].tolist(), line, others)
            if plate is not None:
                taken = np.concatenate([taken, np.array([plate], np.float32)])
                break
    return canvas


def captions(faces: Faces) -> list[list[str]]:
    """Captions of each face, the longest first: `draw` writes the first for which there is room.

    They are the score, or the attributes with the probability of each, and then without it. An attribute
    without a label is shown as a question mark. In a video, the number of the face's track comes first, and
    is the shortest caption.
    """
    told = [name for name in faces.attributes if f"{name}_probability" in faces.attributes]
    tracked = "track" in faces.attributes
    if not told and not tracked:
        return [[f"{score:.0%}"] for score in faces.scores]
    every = []
    for face in faces:
        number = [f"#{face.attributes['track'][0]}"] if tracked else []
        plain, probable = [], []
        for name in told:
            label, probability = face.attributes[name][0], face.attributes[f"{name}_probability"][0]
            plain.append("?" if label is None else str(label))
            probable.append("?" if label is None else f"{label} {probability:.0%}")
        texts = [" ".join([*number, ", ".join(parts)]).rstrip() for parts in (probable, plain)]
        every.append(list(dict.fromkeys(texts + number)))
    return every


def _caption(
    canvas: Pixels, text: str, face: list[int], line: int, taken: FloatArray
) -> tuple[int, int, int, int] | None:
    """Write a text beside a face, and return the position of its plate; None if there is no room for it."""
    text = _drawable(text)
    scale = _text_scale(text, face[2] - face[0], line)
    if not scale:
        return None
    plate = _place(_plate_size(text, scale), face, line, taken, canvas.shape[1], canvas.shape[0])
    if plate is not None:
        _write(canvas, text, scale, plate)
    return plate


def _drawable(text: str) -> str:
    """Text in ASCII, which is all that `FONT` has: without accents, and with a question mark for the rest."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(c for c in letters if not unicodedata.combining(c)).encode("ascii", "replace").decode()


def _text_scale(text: str, face_width: int, line: int) -> float:
    """OpenCV's font scale at which `text` is about half as wide as the face; 0 if no legible one fits."""
    (unit_width, unit_height), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    smallest = MIN_TEXT / unit_height
    if smallest * unit_width > WIDEST * face_width:
        return 0.0
    return min(max(face_width / unit_width / 2, smallest), max(smallest, 0.3 * line))


def _plate_size(text: str, scale: float) -> tuple[int, int]:
    """(width, height) in pixels of the plate behind a text."""
    (width, height), _ = cv2.getTextSize(text, FONT, scale, _thickness(scale))
    return width + 2 * _pad(height), height + 2 * _pad(height)


def _thickness(scale: float) -> int:
    """Width of a text's strokes in pixels."""
    return max(1, round(1.5 * scale))


def _pad(text_height: int) -> int:
    """Pixels around a text on its plate."""
    return max(2, text_height // 4)


def _place(
    size: tuple[int, int], face: list[int], line: int, taken: FloatArray, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Position of a plate: above the face, below it, or along its upper edge; None if there is no free place.

    A plate that is wider than the face is centred on it. `taken` (N, 4) are the boxes that it must not
    overlap; `width` and `height` are the picture's.
    """
    x1, y1, x2, y2 = face
    beyond = max(0, size[0] - (x2 - x1) - line)
    left = min(max(x1 - line // 2 - beyond // 2, 0), width - size[0])
    for top in (y1 - line // 2 - size[1], y2 + line // 2, max(y1, 0) + line):
        plate = (left, top, left + size[0], top + size[1])
        inside = left >= 0 and top >= 0 and plate[3] <= height
        if inside and not boxes.intersection(np.array([plate], np.float32), taken).any():
            return plate
    return None


def _write(canvas: Pixels, text: str, scale: float, plate: tuple[int, int, int, int]) -> None:
    """Write a text on its plate."""
    left, top, right, bottom = plate
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), COLOUR, cv2.FILLED)
    (_, height), _ = cv2.getTextSize(text, FONT, scale, _thickness(scale))
    origin = (left + _pad(height), top + _pad(height) + height)
    cv2.putText(canvas, text, origin, FONT, scale, OUTLINE, _thickness(scale), cv2.LINE_AA)


def crop(pixels: Pixels, faces: Faces, margin: float = MARGIN) -> list[Pixels]:
    """Cut every face out of a picture (H, W, 3), with a margin of `margin` times its sides around it.

    Boxes are in pixels of this picture. A cut-out ends at the picture's edges, and has at least one pixel.
    """
    height, width = pixels.shape[:2]
    cut = []
    for x1, y1, x2, y2 in faces.boxes.astype(float):
        dx, dy = margin * (x2 - x1), margin * (y2 - y1)
        left, top = max(0, math.floor(x1 - dx)), max(0, math.floor(y1 - dy))
        right, bottom = min(width, math.ceil(x2 + dx)), min(height, math.ceil(y2 + dy))
        cut.append(pixels[top : max(bottom, top + 1), left : max(right, left + 1)])
    return cut


def copy_name(relative: Path, longest_side: int) -> Path:
    """Name of an annotated copy with this longest side in pixels, from the picture's own name.

    The name stays the same, or gets ``.png`` appended if copies cannot have the picture's format or it cannot
    hold that many pixels. So that the copies of ``a.gif`` and ``a.gif.png`` do not share a name, the second
    gets another ``.png`` too. A name without a picture's suffix gets two.
    """
    fits = longest_side <= LONGEST_SIDES.get(relative.suffix.lower(), 0)
    if fits and not (relative.suffix.lower() == ".png" and _is_picture(relative.stem)):
        return relative
    return relative.with_name(f"{relative.name}{'.png' if _is_picture(relative.name) else '.png.png'}")


def crop_name(relative: Path, face: int) -> Path:
    """Name of a cut-out: ``photo_0.jpg`` from ``photo.jpg``.

    So that no two pictures share a name, any other suffix stays, as in ``photo.png_0.jpg``, and so does a
    ``.jpg`` that follows another suffix. A name without a picture's suffix gets ``.jpg`` appended first.
    """
    name = relative.name if _is_picture(relative.name) else f"{relative.name}.jpg"
    plain = relative.suffix == ".jpg" and not _is_picture(relative.stem)
    return relative.with_name(f"{relative.stem if plain else name}_{face}.jpg")


def _is_picture(name: str) -> bool:
    """Whether a file has a picture's suffix."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES


def save(pixels: Pixels, path: Path) -> None:
    """Encode a picture by the suffix of `path` and write it atomically, creating missing folders.

    Raises:
        OSError: the file cannot be written.
        ValueError: the format cannot hold the picture: see `copy_name`.
    """
    suffix = path.suffix.lower()
    quality = {
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
        ".jpe": [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
        ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, QUALITY],
    }
    try:
        fits, encoded = cv2.imencode(suffix, pixels, quality.get(suffix, []))
    except cv2.error:  # OpenCV before 4.9 raises for a picture that is too large
        fits = False
    if not fits:
        raise ValueError(f"{path}: cannot encode this picture as {suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encoded.tobytes(), sync=False)
