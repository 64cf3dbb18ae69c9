"""The WIDER FACE layout: one text file (``*_bbx_gt.txt``) for a folder of pictures.

Each picture has a line with its path, a line with the number of boxes, and then one line per box: left,
top, width, height, blur, expression, illumination, invalid, occlusion, pose. A picture with 0 boxes has one
line of zeros (as in the official files) or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3fd.data.location import Location
from s3fd.data.sample import Dataset, Problem, RawBox, make_sample, picture_size, read_text

INVALID_COLUMN = 7
"""Column of the flag that WIDER FACE's annotators set on boxes that are not usable faces."""

MIN_COLUMNS = 4

COUNT = "[0-9]{1,9}"
"""A number of boxes (`str.isdigit` would also accept superscripts)."""


def read(annotations: Location, images: Location) -> Dataset:
    """Read a WIDER FACE annotation file for the pictures below `images`.

    Faces marked invalid are ignored in training. Pictures that are missing, unreadable or listed a second
    time, and invalid boxes, are reported as problems.

    Raises:
        ValueError: a line is not the expected name, count or box. The message has the line number.
        OSError: the annotation file cannot be read.
        UnreachableError: a URL cannot be reached.
    """
    found = Dataset([])
    lines: dict[str, int] = {}
    for name, line, raw in _records(annotations):
        first = lines.setdefault(name, line)
        if first != line:
            found.problems.append(Problem(annotations, line, f"{name} is already listed on line {first}"))
            continue
        path = images / name
        try:
            size = picture_size(path)
        except OSError as error:
            found.problems.append(Problem(annotations, line, str(error)))
            continue
        sample, problems = make_sample(path, size, raw, annotations)
        found.samples.append(sample)
        found.problems.extend(problems)
    return found


def _records(annotations: Location) -> Iterator[tuple[str, int, list[RawBox]]]:
    """Yield the name of each picture, the line that it is on, and its boxes."""
    lines = read_text(annotations).splitlines()
    i = 0
    while i < len(lines):
        name = lines[i].strip()
        start = i + 1
        i += 1
        if not name:
            continue
        count_text = lines[i].strip() if i < len(lines) else ""
        if not re.fullmatch(COUNT, count_text):
            raise ValueError(f"{annotations}:{start + 1}: expected the number of boxes of {name}")
        count = int(count_text)
        i += 1
        if i + count > len(lines):
            raise ValueError(f"{annotations}:{start + 1}: expected {count} boxes, found the end of the file")
        raw = [_box(annotations, i + k + 1, lines[i + k]) for k in range(count)]
        i += count
        if count == 0 and i < len(lines) and set(lines[i].split()) == {"0"}:
            i += 1
        yield name, start, raw


def _box(annotations: Location, number: int, line: str) -> RawBox:
    try:
        values = [float(v) for v in line.split()]
    except ValueError:
        values = []
    if len(values) < MIN_COLUMNS:
        raise ValueError(f"{annotations}:{number}: expected left top width height, found {line!r}")
    left, top, width, height = values[:4]
    invalid = len(values) > INVALID_COLUMN and values[INVALID_COLUMN] == 1
    return RawBox((left, top, left + width, top + height), number, invalid)
