"""The WIDER FACE layout: one text file (``*_bbx_gt.txt``) for a folder of pictures.

For each picture: its path on a line, the number of boxes on the next, then a line a box: left, top, width,
height, blur, expression, illumination, invalid, occlusion, pose. A picture with 0 boxes has one line of
zeros (as in the official files) or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3fd.data.location import Location
from s3fd.data.sample import Dataset, Problem, RawBox, make_sample, picture_size, read_text

INVALID_COLUMN = 7
"""The flag WIDER's annotators set on boxes that are no usable face."""

MIN_COLUMNS = 4

COUNT = "[0-9]{1,9}"
"""A number of boxes; `str.isdigit` takes superscripts too."""


def read(annotations: Location, images: Location) -> Dataset:
    """Read a WIDER FACE annotation file whose pictures lie below `images`.

    Faces marked invalid are ignored in training. A picture that is missing, unreadable or listed a second
    time, and a box that cannot be a face, become problems.

    Raises:
        ValueError: a line that is neither a name, a count nor a box, with its number.
        OSError: the annotation file cannot be read.
        UnreachableError: a URL that cannot be asked.
    """
    found = Dataset([])
    lines: dict[str, int] = {}
    for name, line, raw in _records(annotations):
        first = lines.setdefault(name, line)
        if first != line:
            found.problems.append(Problem(annotations, line, f"{name} is listed on line {first} already"))
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
    """Yield each picture's name, the line it stands on, and its boxes."""
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
            raise ValueError(f"{annotations}:{start + 1}: {count} boxes announced, the file ends earlier")
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
