"""Result folders in the layout of WIDER FACE's evaluation: ``EVENT/NAME.txt`` for each picture.

Line 1 is the picture's name and line 2 the number of detections. Then there is one line per detection: left,
top, width and height in pixels of the original picture, and score. In memory, a result set maps
``EVENT/NAME`` to `Faces`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from s3fd.faces import Faces

COLUMNS = 5
"""Left, top, width, height, score; further columns, such as landmarks, are not read."""


def write(folder: Path, name: str, faces: Faces) -> None:
    """Write the detections of the picture ``EVENT/NAME`` to ``folder/EVENT/NAME.txt``."""
    path = _path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        f"{x1:.3f} {y1:.3f} {x2 - x1:.3f} {y2 - y1:.3f} {score:.6f}\n"
        for (x1, y1, x2, y2), score in zip(faces.boxes.tolist(), faces.scores.tolist(), strict=True)
    )
    path.write_text(f"{name}.jpg\n{len(faces)}\n{''.join(rows)}", encoding="utf-8")


def read(path: Path) -> Faces:
    """Read one result file: boxes (N, 4) xyxy in pixels and scores (N,), in the file's order.

    Scores may have any range and any notation of numbers. The first line is ignored, because some detectors
    write the picture's folder and suffix there and some do not. Columns after the fifth and blank lines are
    ignored.

    Raises:
        ValueError: a line does not follow the format; the message is ``file:line: what is wrong``.
        OSError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:1: not a text file") from error
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if number > 1 and line.strip()]
    if not rows:
        raise ValueError(f"{path}:2: expected the number of detections, found the end of the file")
    count = _count(path, *rows.pop(0))
    if len(rows) != count:
        last = rows[-1][0] if rows else 2
        raise ValueError(f"{path}:{last}: expected {count} detections, found {len(rows)}")
    values = np.array([_detection(path, *row) for row in rows], np.float64).reshape(-1, COLUMNS)
    values[:, 2:4] += values[:, :2]
    return Faces(values[:, :4].astype(np.float32), values[:, 4].astype(np.float32))


def read_all(folder: Path, names: Iterable[str]) -> dict[str, Faces]:
    """Read the result files of the pictures `names` (``EVENT/NAME``), without those that have no file.

    Raises:
        ValueError: a file is malformed.
        OSError: a file cannot be read.
    """
    paths = {name: _path(folder, name) for name in names}
    return {name: read(path) for name, path in paths.items() if path.exists()}


def write_all(folder: Path, results: Mapping[str, Faces]) -> None:
    """Write a whole result set, one file per picture."""
    for name, faces in results.items():
        write(folder, name, faces)


def _path(folder: Path, name: str) -> Path:
    """Return the result file of ``EVENT/NAME``; names may contain dots, so no suffix is replaced."""
    return folder / f"{name}.txt"


def _count(path: Path, line: int, fields: list[str]) -> int:
    """Parse the number of detections from the fields of its line."""
    try:
        (text,) = fields
        count = float(text)
    except ValueError:
        count = -1
    if count < 0 or not count.is_integer():
        raise ValueError(f"{path}:{line}: expected the number of detections, found {' '.join(fields)!r}")
    return int(count)


def _detection(path: Path, line: int, fields: list[str]) -> list[float]:
    """Parse left, top, width, height and score from the fields of a line."""
    try:
        values = [float(field) for field in fields[:COLUMNS]]
    except ValueError:
        values = []
    if len(values) < COLUMNS or not all(map(math.isfinite, values)):
        found = " ".join(fields)
        raise ValueError(f"{path}:{line}: expected left, top, width, height and score, found {found!r}")
    return values
