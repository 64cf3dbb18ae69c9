"""Encoding of pictures and options for the client's requests, and decoding of records from responses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from s3fd.faces import Faces
from s3fd.inference.records import Record
from s3fd.inference.writers import valid_text

T = TypeVar("T")

Picture = str | os.PathLike[str] | bytes
"""A file name, or the bytes of a file."""


def files(pictures: Sequence[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    """Return the parts of a form with these pictures; raises OSError for a file that cannot be read."""
    return [("files", _file(picture)) for picture in pictures]


def parameters(**options: Any) -> dict[str, Any]:
    """Return options as query parameters; those that are None are left to the service."""
    given = {name: value for name, value in options.items() if value is not None}
    attributes = given.get("attributes")
    if attributes is not None and not isinstance(attributes, str):
        given["attributes"] = ",".join(attributes)
    return given


def known(kind: type[T], answer: Mapping[str, Any]) -> T:
    """Recreate a dataclass from the JSON of its fields; fields of a newer service are left out."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in answer.items() if name in names})


def record(answer: Mapping[str, Any]) -> Record:
    """Parse the JSON of a record."""
    faces = answer.get("faces")
    if faces is None:
        return Record(answer["path"], error=answer["error"])
    return Record(answer["path"], _faces(faces), answer["width"], answer["height"])


def _file(picture: Picture) -> tuple[str, bytes]:
    """Return a file's name, as text that can be sent, and its bytes."""
    if isinstance(picture, bytes):
        return "picture", picture
    return valid_text(Path(picture).name), Path(picture).read_bytes()


def _faces(faces: Sequence[Mapping[str, Any]]) -> Faces:
    """Parse the JSON of faces, with the columns that `Detector` gives them."""
    columns: dict[str, NDArray[Any]] = {}
    for name in faces[0] if faces else ():
        if name not in ("box", "score"):
            values = [face[name] for face in faces]
            columns[name] = np.array(values, dtype=np.float32 if name.endswith("_probability") else object)
    return Faces(
        np.array([face["box"] for face in faces], np.float32).reshape(-1, 4),
        np.array([face["score"] for face in faces], np.float32),
        columns,
    )
