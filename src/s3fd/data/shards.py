"""Tar shards in WebDataset's layout: the files of a sample share the name up to its first dot.

``0001.jpg`` goes with ``0001.json``, which says where its faces are::

    {"boxes": [[x1, y1, x2, y2], …], "ignored": [false, …], "name": "a/b.jpg"}

in pixels of the upright picture; ``ignored`` (see `s3fd.data.sample.Sample`) may be left out, and ``name`` is
what the picture was called before. Members that are neither are passed over.

A shard is read through once, for the annotations and for where each picture lies in it. A picture is then
read from there, so that one may be drawn as freely as if it lay in a folder. That takes a plain tar: a
compressed one has to be unpacked from its beginning.
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
"""Numbers in braces, as a shell expands them."""

MEMBER = re.compile(r"(?P<stem>(?:.*/)?[^./][^./]*)(?P<suffix>\.[^/]+)", re.DOTALL)
"""A member's name by WebDataset's rule."""


class ShardError(ValueError):
    """A shard that cannot be understood; the message names it, and the member where it is about one."""


def read(pattern: Location) -> Dataset:
    """Read the shards that the last part of a path or URL names: ``train-{000..009}.tar`` or ``train-*.tar``.

    Samples come in the order of the shards, sorted where a ``*`` finds them, and in that of their first
    members. A picture or a JSON file without the other, a picture that cannot be read, and a box that cannot
    be a face become problems.

    Raises:
        ShardError: a shard that is damaged, cut off or compressed, a JSON file of another content, or a
            sample with two of either.
        FileNotFoundError: a shard that is not there.
        UnreachableError: a URL that cannot be asked.
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
    """What was found of a sample so far: its picture with (width, height) or why there is none, its boxes."""

    picture: Part | None = None
    size: tuple[int, int] | None = None
    fault: str = ""
    boxes: list[RawBox] | None = None
    annotation: Part | None = None


def _shards(pattern: Location) -> list[Location]:
    """Name the shards; each that is not there is an error, and so is a ``*`` that finds none."""
    shards: list[Location] = []
    for name in _expand(pattern.name):
        if "*" in name:
            with reaching(pattern.parent):
                matches: Iterable[Location] = pattern.parent.glob(name)
                shards += sorted(matches, key=lambda path: path.name)
        else:
            shards.append(pattern.with_name(name))
    if not shards:
        raise FileNotFoundError(f"{pattern}: no such shards")
    for shard in shards:
        if not is_there(shard):
            raise FileNotFoundError(f"{shard} does not exist")
    return shards


def _expand(name: str) -> Iterator[str]:
    """Write out the numbers in braces, with as many digits as the first has."""
    braces = NUMBERS.search(name)
    if braces is None:
        yield name
        return
    first, last = braces.groups()
    for number in range(int(first), int(last) + 1):
        for rest in _expand(name[braces.end() :]):
            yield f"{name[: braces.start()]}{number:0{len(first)}}{rest}"


def _entries(shard: Location, file: IO[bytes]) -> dict[str, _Entry]:
    """Read a shard from its beginning to its end, in which a URL is never asked for the same bytes twice."""
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
                assert content is not None  # of a regular file it is there
                entry = entries.setdefault(name["stem"], _Entry())
                if suffix == ".json":
                    _take_boxes(entry, part, content.read())
                else:
                    _take_picture(entry, part, content)
            end = tar.offset
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes anything for the end
            raise tarfile.ReadError(f"damaged or cut off at byte {end}")
    except ShardError:
        raise
    except (tarfile.TarError, ValueError) as error:  # tarfile lets some errors of int() through
        raise ShardError(f"{shard}: not a whole uncompressed tar: {error}") from error
    return entries


def _take_boxes(entry: _Entry, part: Part, data: bytes) -> None:
    if entry.boxes is not None:
        raise ShardError(f"{part}: the second JSON file of its sample")
    entry.annotation, entry.boxes = part, _boxes(part, data)


def _take_picture(entry: _Entry, part: Part, content: IO[bytes]) -> None:
    if entry.picture is not None:
        raise ShardError(f"{part}: the second picture of its sample")
    entry.picture = part
    if not isinstance(part.file, Path):  # a failing connection must not look like a damaged picture
        content = io.BytesIO(content.read())
    try:
        entry.size = header_size(content, part)
    except OSError as error:
        entry.fault = str(error)


def _boxes(part: Part, data: bytes) -> list[RawBox]:
    """The boxes of a JSON file."""
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
    """Make a sample of an entry, or a problem."""
    if entry.picture is None:
        found.problems.append(Problem(shard, 0, f"no picture goes with {stem}.json"))
    elif entry.annotation is None or entry.boxes is None:
        found.problems.append(Problem(shard, 0, f"no {stem}.json goes with {entry.picture.name}"))
    elif entry.size is None:
        found.problems.append(Problem(shard, 0, entry.fault))
    else:
        sample, problems = make_sample(entry.picture, entry.size, entry.boxes, entry.annotation)
        found.samples.append(sample)
        found.problems.extend(problems)


def write(samples: Iterable[Sample], folder: Path, pictures: int) -> list[Path]:
    """Write samples to ``000000.tar`` and on in a new `folder`, at most so many `pictures` in each.

    The folder appears when all of it is written, and not at all if it cannot be. The files of the pictures
    are taken as they are, and the same samples give the same bytes.

    Raises:
        FileExistsError: `folder` is there already.
        ValueError: a picture file whose suffix `read` would not take for one.
        OSError: a picture cannot be read, or a shard not be written.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
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
        raise ValueError(f"{sample.path}: no suffix of a picture")
    content = {
        "boxes": sample.boxes.tolist(),
        "ignored": sample.ignored.tolist(),
        "name": sample.path.name,
    }
    for ending, data in ((suffix, read_bytes(sample.path)), (".json", json.dumps(content).encode())):
        member = tarfile.TarInfo(f"{number:09}{ending}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
