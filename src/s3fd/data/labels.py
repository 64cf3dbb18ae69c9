"""Labels of face attributes (gender, mask, any column) from a CSV file.

A row labels a whole picture (``Image_Name,Gender``) or a box in it (``image,x1,y1,x2,y2,gender``, pixels of
the upright picture). The pictures themselves are not opened, so whoever opens them has to check that the
boxes lie inside.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from csv import Error as CsvError
from csv import reader as csv_reader
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.counted import counted
from s3fd.data.sample import Problem
from s3fd.data.targets import Target

UNSURE = ("", "?", "unknown", "unsure", "not sure", "n/a", "none", "nan")
"""Values, in any letter case, for an unknown label, which is neither trained on nor guessed."""

NAME_COLUMNS = ("image_name", "image", "path")
"""Columns that may name the picture; the first one that a file has is used."""

BOX_COLUMNS = ("x1", "y1", "x2", "y2")

OTHER_BOX_COLUMNS = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("left", "top", "right", "bottom"),
    ("xmin", "ymin", "xmax", "ymax"),
)
"""Box columns of other formats. They are not read, and this is reported."""

DELIMITERS = ",;\t"
"""Possible delimiters; the most frequent one in the header is used. Excel uses ";" in many countries."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Suffixes to try, in this order, if there is no file with the exact name in the row."""

INVALID = "invalid"
"""Column, in any letter case, that is 1 where it is unclear whether the box is a face: it has no label."""

SHOWN_TEXTS = 5
"""Maximum number of values that a message lists."""

NOT_KNOWN = -1
"""Class number where there is no label."""


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """The N labelled faces of one picture; N = 1 if the labels are for the whole picture.

    Attributes:
        path: the picture file.
        boxes: (N, 4) float32 xyxy in pixels of the upright picture, each finite and with positive area;
            None if the labels are for the whole picture.
        labels: (N,) class numbers by `Target.column`; -1 where the class is not known.
        extra: the other columns by their name in the file, N texts each; `INVALID` is in lower case.
        lines: line number of each row in the file; the header is on line 1.
    """

    path: Path
    boxes: FloatArray | None
    labels: dict[str, NDArray[np.int64]]
    extra: dict[str, list[str]]
    lines: list[int]


@dataclass(frozen=True)
class Labels:
    """The result of `read`.

    Attributes:
        pictures: labelled pictures, in the order of the file.
        targets: targets with their classes.
        problems: rows that were left out, undeclared classes, and box columns that are not read.
        unsure: how often each of the `UNSURE` texts meant that there is no label.
    """

    pictures: list[LabelledPicture]
    targets: tuple[Target, ...]
    problems: list[Problem]
    unsure: Mapping[str, int] = field(default_factory=dict)


def check_groups(csv: Path, labels: Labels, groups: Sequence[str]) -> None:
    """Raise ValueError unless the table that `labels` were read from has these further columns."""
    there = labels.pictures[0].extra
    for group in groups:
        if group not in there:
            known = ", ".join(there) or "none"
            raise ValueError(f"{csv}: no column {group!r} to group by; columns besides the labels: {known}")


def digest(items: Sequence[LabelledPicture], column: str) -> str:
    """SHA-256 of the training data in `items` for `column`, independent of the pictures' folder."""
    sha = hashlib.sha256()
    for item in items:
        boxes = None if item.boxes is None else item.boxes.tolist()
        sha.update(json.dumps([item.path.name, boxes, item.labels[column].tolist()]).encode())
        sha.update(json.dumps(item.extra.get(INVALID)).encode())
    return sha.hexdigest()


def read(csv: Path, images: Path, targets: Sequence[str | Target]) -> Labels:
    """Read a file of labels for the pictures below `images`.

    Pictures are named in a column ``Image_Name``, ``image`` or ``path``, with or without a suffix, whose case
    may differ from the file's. A row is left out and reported as a problem if its picture is missing, its box
    is invalid, or it labels a picture or a box a second time. A row with a class that its target does not
    declare is reported too, but kept, and its class is not known. `UNSURE` values are not known either,
    unless a target declares them, and neither are the classes of `INVALID` boxes.

    Args:
        csv: the file, in UTF-8, with column names in its first row. Cells are separated by commas,
            semicolons or tabs.
        images: the folder that the names are relative to.
        targets: targets to read. A `str` is a column whose classes are the values found in it, sorted; it is
            returned as a `Target` with the spelling that was passed.

    Raises:
        ValueError: the file is not in UTF-8, has an unclosed quotation mark, no usable rows, or
            missing or duplicate columns; or a target has fewer than two classes.
        OSError: the file cannot be read, or the folder does not exist.
    """
    if not images.is_dir():
        raise NotADirectoryError(f"{images}: no such folder")
    (_, header), *rows = _rows(csv)
    columns = _find_columns(csv, header, targets)
    listed: dict[str, dict[str, str]] = {}
    found: dict[str, dict[tuple[float, ...], _Row]] = {}
    problems = _other_boxes(csv, columns)
    for line, cells in rows:
        try:
            row = _check_row(line, cells, columns)
            company = found.setdefault(_find_picture(row.cells[columns.name], images, listed), {})
            _check_company(row, company)
            company[row.corners] = row
        except _UnusableRowError as error:
            problems.append(Problem(csv, line, str(error)))
    kept = [row for company in found.values() for row in company.values()]
    if not kept:
        raise ValueError(
            f"{csv}: no usable rows" + (f"; the first problem: {problems[0]}" if problems else "")
        )
    decided, codes, unsure = [], {}, Counter[str]()
    for target, place in zip(targets, columns.targets, strict=True):
        decided.append(_decide(csv, target, {row.cells[place] for row in kept}, problems))
        codes[decided[-1].column] = place, {value: i for i, value in enumerate(decided[-1].values)}
        problems += _undeclared(csv, decided[-1], place, kept)
        texts = (row.cells[place] for row in kept)
        unsure.update(x for x in texts if x.lower() in UNSURE and x not in decided[-1].values)
    pictures = [
        _picture(images / name, list(company.values()), codes, columns.extra)
        for name, company in found.items()
    ]
    return Labels(pictures, tuple(decided), sorted(problems, key=lambda problem: problem.line), unsure)


class _UnusableRowError(Exception):
    """Raised for an unusable row; the message says why."""


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns in a row of `count` cells; `box` has 4 positions, or none."""

    count: int
    name: int
    box: tuple[int, ...]
    targets: tuple[int, ...]
    extra: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class _Row:
    """The cells of a row, and its box (4,) or None, also as a tuple `corners` for fast comparison."""

    line: int
    cells: list[str]
    box: FloatArray | None
    corners: tuple[float, ...]


def _rows(csv: Path) -> list[tuple[int, list[str]]]:
    """Return the header and the rows that are not blank, each with the line that it begins on."""
    text = _text(csv)
    header = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    rows, line = [], 1
    try:  # strict, since an unclosed quotation mark would otherwise swallow all rows below it
        reader = csv_reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((line, stripped))
            line = reader.line_num + 1  # a quoted cell may span several lines
    except CsvError as error:
        raise ValueError(f"{csv}:{line}: not a valid CSV row; check its quotation marks: {error}") from error
    if not rows:
        raise ValueError(f"{csv}: the file is empty")
    return rows


def _text(csv: Path) -> str:
    """Read the text of the file, without a byte order mark."""
    data = csv.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{csv}:{line}: not encoded in UTF-8; in Excel, save as “CSV UTF-8”: {error.reason}"
        ) from error


def _find_columns(csv: Path, header: list[str], targets: Sequence[str | Target]) -> _Columns:
    """Find the columns by name, ignoring case."""
    lower = [name.lower() for name in header]
    there = ", ".join(name for name in header if name)
    twice = next((name for name in header if name and lower.count(name.lower()) > 1), None)
    if twice is not None:
        raise ValueError(f"{csv}: two columns are called {twice!r}")
    named = next((lower.index(name) for name in NAME_COLUMNS if name in lower), None)
    if named is None:
        raise ValueError(
            f"{csv}: no column Image_Name, image or path with the names of the pictures; it has {there}"
        )
    box = tuple(lower.index(name) for name in BOX_COLUMNS if name in lower)
    if 0 < len(box) < len(BOX_COLUMNS):
        raise ValueError(f"{csv}: boxes need the columns {', '.join(BOX_COLUMNS)}; it has {there}")
    rest = {name: i for i, name in enumerate(lower) if name and i != named and i not in box}
    asked = [target if isinstance(target, str) else target.column for target in targets]
    for column in asked:
        if column.lower() not in rest:
            raise ValueError(f"{csv}: no label column {column!r}; it has {there}")
    places = tuple(rest[column.lower()] for column in asked)
    if len(set(places)) != len(places) or not places:
        raise ValueError(f"targets must be one or more different columns, not {asked}")
    extra = {INVALID if name == INVALID else header[i]: i for name, i in rest.items() if i not in places}
    return _Columns(len(header), named, box, places, extra)


def _other_boxes(csv: Path, columns: _Columns) -> list[Problem]:
    """Report a table whose boxes are in columns that are not read."""
    there = {name.lower() for name in columns.extra}
    other = next((names for names in OTHER_BOX_COLUMNS if there.issuperset(names)), None)
    if columns.box or other is None:
        return []
    message = (
        f"boxes in {', '.join(other)} are not read, so labels apply to whole pictures; "
        f"to use boxes, give left, top, right and bottom in {', '.join(BOX_COLUMNS)}"
    )
    return [Problem(csv, 1, message)]


def _check_row(line: int, cells: list[str], columns: _Columns) -> _Row:
    """Make a row from its cells; cells missing at its end are added as empty."""
    cells += [""] * (columns.count - len(cells))
    if any(cells[columns.count :]):
        raise _UnusableRowError(f"{len(cells)} cells, but the header has {columns.count}")
    box = _box([cells[i] for i in columns.box])
    return _Row(line, cells, box, () if box is None else tuple(box.tolist()))


def _box(cells: list[str]) -> FloatArray | None:
    """Parse a box (4,) from its cells; None if all are empty or there are none."""
    if not any(cells):
        return None
    text = f"box {' '.join(cell or '–' for cell in cells)}"
    if not all(cells):
        raise _UnusableRowError(f"{text} is incomplete")
    try:
        with np.errstate(over="ignore"):  # float32 overflows to infinity, which is refused below
            box = np.array([float(cell) for cell in cells], np.float32)
    except ValueError:
        raise _UnusableRowError(f"{text} is not four numbers") from None
    size = box[2:] - box[:2]
    if not np.isfinite(box).all():
        raise _UnusableRowError(f"{text} is not finite")
    if not (size > 0).all():
        raise _UnusableRowError(f"{text} {'is inverted' if (size < 0).any() else 'has no area'}")
    return box


def _find_picture(name: str, images: Path, listed: dict[str, dict[str, str]]) -> str:
    """Return the picture's path below `images`; `listed` caches the files of each folder between calls.

    A file with exactly this name is preferred. Otherwise the suffix may differ in case or be one of
    `SUFFIXES` that the name lacks, and accents may be in another Unicode form. On all systems, a name with
    backslashes that matches no file is read as a Windows path.
    """
    if not name:
        raise _UnusableRowError("the picture name is missing")
    for path in dict.fromkeys((name, name.replace("\\", "/"))):
        folder, base = os.path.split(os.path.normpath(path))
        if folder not in listed:  # listing it is faster than up to five stats per picture
            listed[folder] = _files(images / folder)
        for known in (base, *(_plain(base + suffix) for suffix in ("", *SUFFIXES))):
            if known in listed[folder]:
                return str(Path(folder, listed[folder][known]))
    raise _UnusableRowError(f"no picture '{name}' in {images} (also tried {', '.join(SUFFIXES)})")


def _files(folder: Path) -> dict[str, str]:
    """Map the names of the files in `folder`, and their `_plain` forms, to the names."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except (OSError, ValueError):  # missing, or not a valid name of a folder
        return {}
    return {_plain(name): name for name in names} | {name: name for name in names}


def _plain(name: str) -> str:
    """Return `name` with its suffix in lower case and its accents composed."""
    composed = unicodedata.normalize("NFC", name)
    suffix = Path(composed).suffix
    return composed.removesuffix(suffix) + suffix.lower()


def _check_company(row: _Row, company: Mapping[tuple[float, ...], _Row]) -> None:
    """Check a row against earlier ones of the same picture, by corners; only boxes may differ."""
    first = next(iter(company.values()), None)
    if first is not None and (row.box is None or first.box is None):
        how = "twice" if row.box is first.box else "with and without a box"
        raise _UnusableRowError(f"picture listed {how} (see line {first.line})")
    if row.corners in company:
        raise _UnusableRowError(f"box listed twice (see line {company[row.corners].line})")


def _decide(csv: Path, target: str | Target, texts: set[str], problems: Sequence[Problem]) -> Target:
    """Return the target with its classes, given the texts in its column; errors mention the `problems`."""
    column, declared = (target, None) if isinstance(target, str) else (target.column, target.values)
    classes = sorted(text for text in texts if (text in declared if declared else text.lower() not in UNSURE))
    if len(classes) < 2:
        only = f"only one class, {classes[0]!r}, has pictures" if classes else "no picture has a label"
        if declared and not classes:
            only += f" that is one of {', '.join(declared)}"
        others = [repr(text) for text in sorted(texts - {"", *classes})[:SHOWN_TEXTS]]
        why = [f"; values that are not labels: {', '.join(others)}"] if others else []
        why += (
            [f"; problems in {counted(len(problems), 'row')}, the first: {problems[0]}"] if problems else []
        )
        raise ValueError(f"{csv}: {column}: {only}{''.join(why)}")
    return Target(column, tuple(classes), tuple(classes)) if isinstance(target, str) else target


def _undeclared(csv: Path, target: Target, place: int, rows: list[_Row]) -> list[Problem]:
    """Report the rows whose label is not a class of the target."""
    allowed, classes = {*target.values}, ", ".join(target.values)
    return [
        Problem(csv, row.line, f"{target.column} {row.cells[place]!r} is not one of {classes}")
        for row in rows
        if row.cells[place] not in allowed and row.cells[place].lower() not in UNSURE
    ]


def _picture(
    path: Path, rows: list[_Row], codes: Mapping[str, tuple[int, dict[str, int]]], extra: Mapping[str, int]
) -> LabelledPicture:
    """Make a picture from its rows; `codes` has the position and class numbers of each target's column."""
    boxes = [row.box for row in rows if row.box is not None]
    texts = {name: [row.cells[i] for row in rows] for name, i in extra.items()}
    uncertain = np.array(texts.get(INVALID, [""] * len(rows))) == "1"
    labels = {}
    for column, (place, numbers) in codes.items():
        told = np.array([numbers.get(row.cells[place], NOT_KNOWN) for row in rows], np.int64)
        labels[column] = np.where(uncertain, NOT_KNOWN, told)
    return LabelledPicture(path, np.stack(boxes) if boxes else None, labels, texts, [r.line for r in rows])
