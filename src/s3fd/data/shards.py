"""Tar shards in WebDataset's layout, in which the files of a sample share their name up to the first dot.

``0001.jpg`` goes with ``0001.json``, which contains its faces::

    {"boxes": [[x1, y1, x2, y2], …], "ignored": [false, …], "name": "a/b.jpg"}

Boxes are in pixels of the upright picture. ``ignored`` (see `s3fd.data.sample.Sample`) is optional, and
``name`` is the original name of the picture. Members that are neither pictures nor JSON files are skipped.

Each shard is read once from start to end, for the annotations and for the offset of each picture. Pictures
are then read at their offsets, so that samples can be drawn at random as from a folder. This requires an
uncompressed tar file, because a compressed one has to be unpacked from its beginning.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from s3fd.data.location import Location, Part, is_there, reaching, read_bytes
from s3fd.data.sample import Dataset, Problem, RawBox, Sample, header_size, make_sample
from s3fd.inference.sources import PICTURE_SUFFIXES

NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")
"""A range of numbers in braces, as expanded by a shell."""

MEMBER = re.compile(r"(?P<stem>(?:.*/)?[^./][^./]*)(?P<suffix>\.[^/]+)", re.DOTALL)
"""The name of a member, split by WebDataset's rule."""


class ShardError(ValueError):
    """Raised for an invalid shard; the message names the shard, and the member if it is about one."""


def read(pattern: Location) -> Dataset:
    """Read the shards that a path or URL matches, such as ``train-{000..009}.tar`` or ``train-*.tar``.

    Only the last part of the path may be a pattern. Samples come in the order of the shards, which is sorted
    for a ``*``, and within a shard in the order of their first members. A picture or a JSON file without the
    other, an unreadable picture and an invalid box are reported as problems.

    Raises:
        ShardError: a shard is damaged, truncated or compressed, a JSON file has other content, or a sample
            has two pictures or two JSON files.
        FileNotFoundError: a shard does not exist.
        UnreachableError: a URL cannot be reached.
    """
    found = Dataset([])
    for shard in _shards(pattern):
        with reaching(shard), shard.open("rb") as file:
            entries = _entries(shard, file)
        for stem, entry in entries.items():
            _add(found, shard, stem, entry)
    return found


@dataclass
class _Entry:
    """A sample as read so far: its picture with its (width, height) or the reason for none, and its boxes."""

    picture: Part | None = None
    size: tuple[int, int] | None = None
    fault: str = ""
    boxes: list[RawBox] | None = None
    annotation: Part | None = None


def _shards(pattern: Location) -> list[Location]:
    """List the shards. Raises FileNotFoundError if one does not exist or a ``*`` matches none."""
    shards: list[Location] = []
    for name in _expand(pattern.name):
        if "*" in name:
            with reaching(pattern.parent):
                matches: Iterable[Location] = pattern.parent.glob(name)
                shards += sorted(matches, key=lambda path: path.name)
        else:
            shards.append(pattern.with_name(name))
    if not shards:
        raise FileNotFoundError(f"{pattern}: no shards found")
    for shard in shards:
        if not is_there(shard):
            raise FileNotFoundError(f"{shard} does not exist")
    return shards


def _expand(name: str) -> Iterator[str]:
    """Expand the numbers in braces, with at least as many digits as the first has."""
    braces = NUMBERS.search(name)
    if braces is None:
        yield name
        return
    first, last = braces.groups()
    for number in range(int(first), int(last) + 1):
        for rest in _expand(name[braces.end() :]):
            yield f"{name[: braces.start()]}{number:0{len(first)}}{rest}"


def _entries(shard: Location, file: IO[bytes]) -> dict[str, _Entry]:
    """Read a shard sequentially, so that the same bytes are never requested twice from a URL."""
    entries: dict[str, _Entry] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name = MEMBER.fullmatch(member.name)
                if name is None or not member.isreg() or member.issparse():
                    continue
                suffix = name["suffix"].lower()
                if suffix != ".json" and suffix not in PICTURE_SUFFIXES:
                    continue
                part = Part(shard, member.name, member.offset_data, member.size)
                content = tar.extractfile(member)
                assert content is not None  # it is not None for a regular file
                entry = entries.setdefault(name["stem"], _Entry())
                if suffix == ".json":
                    _take_boxes(entry, part, content.read())
                else:
                    _take_picture(entry, part, content)
            end = tar.offset
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile accepts anything as the end
            raise tarfile.ReadError(f"damaged or truncated at byte {end}")
    except ShardError:
        raise
    except (tarfile.TarError, ValueError) as error:  # tarfile lets some errors of int() through
        raise ShardError(f"{shard}: not a complete uncompressed tar: {error}") from error
    return entries


def _take_boxes(entry: _Entry, part: Part, data: bytes) -> None:
    if entry.boxes is not None:
        raise ShardError(f"{part}: a second JSON file for the same sample")
    entry.annotation, entry.boxes = part, _boxes(part, data)


def _take_picture(entry: _Entry, part: Part, content: IO[bytes]) -> None:
    if entry.picture is not None:
        raise ShardError(f"{part}: a second picture for the same sample")
    entry.picture = part
    if not isinstance(part.file, Path):  # a failing connection must not look like a damaged picture
        content = io.BytesIO(content.read())
    try:
        entry.size = header_size(content, part)
    except OSError as error:
        entry.fault = str(error)


def _boxes(part: Part, data: bytes) -> list[RawBox]:
    """Parse the boxes of a JSON file."""
    try:
        content: Any = json.loads(data)
        boxes = [tuple(float(v) for v in box) for box in content["boxes"]]
        ignored = content.get("ignored", [False] * len(boxes))
        if any(len(box) != 4 for box in boxes) or not all(isinstance(flag, bool) for flag in ignored):
            raise ValueError
        pairs = zip(boxes, ignored, strict=True)
        return [RawBox((x1, y1, x2, y2), 0, flag) for (x1, y1, x2, y2), flag in pairs]
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise ShardError(f'{part}: expected {{"boxes": [[x1, y1, x2, y2], …], "ignored": […]}}') from error


def _add(found: Dataset, shard: Location, stem: str, entry: _Entry) -> None:
    """Add an entry as a sample, or as a problem."""
    if entry.picture is None:
        found.problems.append(Problem(shard, 0, f"no picture for {stem}.json"))
    elif entry.annotation is None or entry.boxes is None:
        found.problems.append(Problem(shard, 0, f"no {stem}.json for {entry.picture.name}"))
    elif entry.size is None:
        found.problems.append(Problem(shard, 0, entry.fault))
    else:
        sample, problems = make_sample(entry.picture, entry.size, entry.boxes, entry.annotation)
        found.samples.append(sample)
        found.problems.extend(problems)


def write(samples: Iterable[Sample], folder: Path, pictures: int) -> list[Path]:
    """Write samples to ``000000.tar``, ``000001.tar``, … in a new `folder`, with up to `pictures` in each.

    The folder appears once everything is written, and not at all if writing fails. Picture files are copied
    unchanged, and the same samples give the same bytes.

    Raises:
        FileExistsError: `folder` already exists.
        ValueError: a file has a suffix that `read` would not accept as a picture.
        OSError: a picture cannot be read, or a shard cannot be written.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} already exists")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left over from a run that was killed
    partial.mkdir(parents=True)
    try:
        names = [path.name for path in _write_all(samples, partial, pictures)]
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return [folder / name for name in names]


def _write_all(samples: Iterable[Sample], folder: Path, pictures: int) -> Iterator[Path]:
    numbered = enumerate(samples)
    while batch := list(islice(numbered, pictures)):
        path = folder / f"{batch[0][0] // pictures:06}.tar"
        with path.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                for number, sample in batch:
                    _write_sample(tar, number, sample)
            file.flush()
            os.fsync(file.fileno())
        yield path


def _write_sample(tar: tarfile.TarFile, number: int, sample: Sample) -> None:
    suffix = Path(sample.path.name).suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ValueError(f"{sample.path}: unsupported picture suffix")
    content = {
        "boxes": sample.boxes.tolist(),
        "ignored": sample.ignored.tolist(),
        "name": sample.path.name,
    }
    for ending, data in ((suffix, read_bytes(sample.path)), (".json", json.dumps(content).encode())):
        member = tarfile.TarInfo(f"{number:09}{ending}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
