"""Cards of embedding models: the input that a model expects, in ``model.json`` beside ``model.onnx``."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

COLOURS = ("bgr", "rgb")
LARGEST_SIZE = 1024


@dataclass(frozen=True)
class Card:
    """How a face is cropped and preprocessed for an embedding model, as (pixel - mean) × scale.

    Attributes:
        size: side of the model's square input in pixels.
        mean: subtracted from each of the three channels, in the model's own channel order.
        scale: factor that the difference is multiplied by.
        colour: channel order, ``rgb`` or ``bgr``.
        margin: extra margin on each side of the box, as a fraction of the box's longer side.
        name: display name of the model; if empty, the stem of its file name.
    """

    size: int = 112
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: float = 1 / 127.5
    colour: str = "rgb"
    margin: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid value."""
        if not _is_whole(self.size) or not 1 <= self.size <= LARGEST_SIZE:
            raise ValueError(
                f"size must be a whole number of pixels from 1 to {LARGEST_SIZE}, not {self.size!r}"
            )
        if len(self.mean) != 3 or not all(map(_is_number, self.mean)):
            raise ValueError(f"mean must be three numbers, not {self.mean!r}")
        if not _is_number(self.scale) or self.scale == 0:
            raise ValueError(f"scale must be a number other than 0, not {self.scale!r}")
        if self.colour not in COLOURS:
            raise ValueError(f"colour must be one of {', '.join(COLOURS)}, not {self.colour!r}")
        if not _is_number(self.margin) or not 0 <= self.margin <= 2:
            raise ValueError(f"margin must be a number from 0 to 2, not {self.margin!r}")


def read_card(model: Path) -> Card:
    """Read the card of the model at `model`.

    Raises:
        FileNotFoundError: there is no card. Guessed values would give meaningless vectors.
        ValueError: it is not a JSON object, or has an unknown field or an invalid value.
    """
    path = model.with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such card; the card describes the input that the model expects")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    known = [field.name for field in fields(Card)]
    if not isinstance(values, dict) or not set(values) <= set(known):
        raise ValueError(f"{path}: a card must be a JSON object with only the fields {', '.join(known)}")
    if isinstance(values.get("mean"), list):
        values["mean"] = tuple(values["mean"])
    if isinstance(values.get("size"), float) and values["size"].is_integer():
        values["size"] = int(values["size"])  # 112.0, as some programs write it
    try:
        return Card(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _is_whole(value: object) -> bool:
    """Whether a value is an integer; booleans do not count."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Whether a JSON value is a number; booleans do not count."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
