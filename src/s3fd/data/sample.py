"""Annotated pictures, and problems with annotations."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.data.location import Location, Part, read_bytes
from s3fd.inference.pictures import PictureError, upright_size


@dataclass(frozen=True)
class Problem:
    """An annotation that was skipped; `line` counts from 1, and is 0 if there is none."""

    file: Location | Part
    line: int
    message: str

    def __str__(self) -> str:
        """Return ``file:line: message``."""
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture and its faces.

    Attributes:
        path: the picture file, or a member of a tar file.
        boxes: (N, 4) float32, xyxy in pixels of the upright picture, each with positive area.
        ignored: (N,) bool, True where it is unclear whether the box is a face: training neither rewards
            nor penalises a detection there.
    """

    path: Location | Part
    boxes: FloatArray
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Dataset:
    """The samples that a reader found, and the annotations that it skipped."""

    samples: list[Sample]
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class RawBox:
    """A box as read from a file: xyxy in pixels, its line, and whether it is to be ignored."""

    xyxy: tuple[float, float, float, float]
    line: int
    ignored: bool = False


def picture_size(path: Location) -> tuple[int, int]:
    """Read the width and height of the upright picture from its header.

    Raises:
        OSError: the file is missing or not a picture.
        UnreachableError: a URL cannot be reached.
    """
    return header_size(path if isinstance(path, Path) else io.BytesIO(read_bytes(path)), path)


def header_size(picture: Path | IO[bytes], name: object) -> tuple[int, int]:
    """Read the width and height of the upright picture in a path or open file; errors call it `name`.

    Raises:
        OSError: the file is missing or not a picture.
    """
    try:
        return upright_size(picture)
    except PictureError as error:
        raise OSError(f"{name}: {error.reason}") from error


def read_text(path: Location) -> str:
    """Read an annotation file, without a byte order mark.

    Raises:
        ValueError: the file is not in UTF-8.
        OSError: it cannot be read.
        UnreachableError: a URL cannot be reached.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not encoded in UTF-8: {error}") from error


def make_sample(
    path: Location | Part, size: tuple[int, int], raw: Sequence[RawBox], file: Location | Part
) -> tuple[Sample, list[Problem]]:
    """Check boxes against a picture of `size` (width, height), and report the invalid ones as problems.

    A box is invalid if it is not finite, is inverted, has no area, or has its centre outside the picture.
    Boxes that extend beyond the edge are clipped.
    """
    width, height = size
    boxes, ignored, problems = [], [], []
    with np.errstate(over="ignore"):  # float32 overflows to infinity, which is refused below
        rounded = np.array([box.xyxy for box in raw], np.float32).reshape(-1, 4)
    for box, (x1, y1, x2, y2) in zip(raw, rounded.tolist(), strict=True):
        text = f"box {' '.join(f'{number:g}' for number in box.xyxy)} of {path.name}"
        if not np.isfinite((x1, y1, x2, y2)).all():
            problems.append(Problem(file, box.line, f"{text} is not finite"))
        elif x2 < x1 or y2 < y1:
            problems.append(Problem(file, box.line, f"{text} is inverted"))
        elif x2 == x1 or y2 == y1:
            problems.append(Problem(file, box.line, f"{text} has no area"))
        elif not (0 <= (x1 + x2) / 2 <= width and 0 <= (y1 + y2) / 2 <= height):
            problems.append(Problem(file, box.line, f"{text} is outside its {width}×{height} picture"))
        else:
            boxes.append((max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)))
            ignored.append(box.ignored)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(path, array, np.array(ignored, bool)), problems


def digest(samples: Iterable[Sample]) -> str:
    """SHA-256 of the pictures' names and of their boxes, independent of the pictures' folder."""
    sha = hashlib.sha256()
    for sample in samples:
        content = [sample.path.name, sample.boxes.tolist(), sample.ignored.tolist()]
        sha.update(json.dumps(content).encode())
    return sha.hexdigest()


def faceless(samples: Sequence[Sample], annotations: Location, face: str) -> list[Problem]:
    """Report a data set with pictures but no faces; `face` describes what would have counted as one."""
    if not samples or any(len(sample.boxes) for sample in samples):
        return []
    return [Problem(annotations, 0, f"no usable {face} in any of {len(samples)} pictures")]
