"""The table of an archive: one row per picture, with its faces in a list."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from s3fd.inference.records import Record
from s3fd.inference.writers import valid_text

CORNERS = ("x1", "y1", "x2", "y2")


def schema(attributes: Sequence[str] = ()) -> Any:
    """Return the `pyarrow.Schema` of an archive whose faces have these attributes.

    The columns are:

    - ``path`` (string)
    - ``width`` and ``height`` of the upright picture in pixels (int32); null for an unreadable picture
    - ``error`` (string): why the picture cannot be read
    - ``faces``, a list of structs: empty if there are no faces, null if there is an error

    Each face has ``box`` (``x1``, ``y1``, ``x2``, ``y2`` in pixels, float32), ``score`` (float32, 0–1), and
    for each attribute its name (string, null below the minimum probability) and ``NAME_probability``
    (float32).

    Raises:
        ImportError: pyarrow is missing.
    """
    import pyarrow as pa

    face = [
        ("box", pa.struct([(corner, pa.float32()) for corner in CORNERS])),
        ("score", pa.float32()),
    ]
    for name in attributes:
        face += [(name, pa.string()), (f"{name}_probability", pa.float32())]
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("error", pa.string()),
            pa.field("faces", pa.list_(pa.struct(face))),
        ]
    )


def row(record: Record) -> dict[str, Any]:
    """Return a picture's row, with the values of `Record.to_dict`."""
    faces = None
    if record.faces is not None:
        faces = [
            face | {"box": dict(zip(CORNERS, face["box"], strict=True))} for face in record.faces.to_dicts()
        ]
    return {
        "path": valid_text(record.path),
        "width": record.width,
        "height": record.height,
        "error": valid_text(record.error),
        "faces": faces,
    }


def to_parquet(rows: Sequence[dict[str, Any]], attributes: Sequence[str] = ()) -> bytes:
    """Encode rows as a Parquet file.

    Raises:
        ImportError: pyarrow is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet

    file = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema=schema(attributes))
    pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()
