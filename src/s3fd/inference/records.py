"""The result reported for each picture, as dictionaries for JSON and as rows for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s3fd.faces import Faces

COLUMNS = ("path", "frame", "time", "width", "height", "face", "x1", "y1", "x2", "y2", "score", "error")
"""Columns of a table: pixels, seconds, scores in 0–1; `face` counts from 0 in each picture."""


def columns(attributes: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns of a table of faces with these attributes: two more per attribute, before the error."""
    told = [column for name in attributes for column in (name, f"{name}_probability")]
    return (*COLUMNS[:-1], *told, COLUMNS[-1])


@dataclass(frozen=True)
class Record:
    """The faces of one picture, or the reason why there are none.

    Attributes:
        path: of the picture or video, as given or found.
        faces: None if the picture could not be read.
        width: of the upright picture in pixels.
        height: of the upright picture in pixels.
        error: why the picture could not be read.
        frame: number of a video's frame, from 0.
        time: of the frame in seconds.
        out: file name of the copy that was written, if any.
    """

    path: str
    faces: Faces | None = None
    width: int | None = None
    height: int | None = None
    error: str | None = None
    frame: int | None = None
    time: float | None = None
    out: str | None = None

    @property
    def found(self) -> int:
        """Number of faces found."""
        return len(self.faces or ())

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready record: path, a video's frame and time, then size and faces, or the error.

        If a copy was written, its file name comes before the size or the error.
        """
        record: dict[str, Any] = {"path": self.path}
        if self.frame is not None:
            record |= {"frame": self.frame, "time": self.time}
        if self.out is not None:
            record |= {"out": self.out}
        if self.faces is None:
            return record | {"error": self.error}
        return record | {"width": self.width, "height": self.height, "faces": self.faces.to_dicts()}

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per face with the keys `COLUMNS` and its attributes, None where empty.

        Without faces, there is a single row, which has no attributes.
        """
        common = dict.fromkeys(COLUMNS) | {
            "path": self.path,
            "frame": self.frame,
            "time": self.time,
            "width": self.width,
            "height": self.height,
            "error": self.error,
        }
        if self.faces is None or not len(self.faces):
            return [common]
        rows = []
        for i, face in enumerate(self.faces.to_dicts()):
            x1, y1, x2, y2 = face.pop("box")
            rows.append(common | {"face": i, "x1": x1, "y1": y1, "x2": x2, "y2": y2} | face)
        return rows
