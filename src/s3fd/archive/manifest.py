"""An archive: partitions of Parquet, and beside them which pictures each is of and whether it is complete.

::

    archive/
      part-000000.parquet            rows (`s3fd.archive.rows`)
      _manifest/
        archive.json                 how the rows are made, how many pictures and partitions there are
        part-000000.inputs.json      the names of its pictures, in the order of its rows
        part-000000.done.json        written last: its rows, faces, unreadable pictures, bytes and SHA-256

Everything is planned before the first picture is looked at, and ``archive.json`` is written when the plan is
complete. From then on a partition is done or not: one that was under way when a run ended is made again, from
the same names. Partitions depend on nothing but the plan, so that any number of processes can make them.
Readers of Parquet leave out folders whose names begin with an underscore.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from s3fd.archive.rows import to_parquet
from s3fd.archive.storage import READERS, Folder
from s3fd.inference.threads import in_order

VERSION = 1
"""Of the layout above."""

PARTITION = 5_000
"""Pictures of a partition unless the user says otherwise: minutes of work on a processor, which is what a
crash costs each worker, and files of about a megabyte."""

HOME = "_manifest"
ARCHIVE = f"{HOME}/archive.json"


class ArchiveError(ValueError):
    """A folder that is no archive, one that was begun in another way, or one with a damaged manifest."""


@dataclass(frozen=True)
class Recipe:
    """What decides an archive's rows.

    Attributes:
        paths: what the user named, absolute or URLs.
        weights: SHA-256 of the model's file, in hexadecimal.
        size: as `Detector.size`, as text.
        min_score: faces score over this, 0–1.
        min_size: least shorter side of a face in pixels.
        attributes: what else is told of every face.
        min_probability: an attribute less probable than this is left open.
        partition: pictures of a partition.
        precision: in which the network computes.
    """

    paths: tuple[str, ...]
    weights: str
    size: str = "vga"
    min_score: float = 0.5
    min_size: float = 0.0
    attributes: tuple[str, ...] = ()
    min_probability: float = 0.0
    partition: int = PARTITION
    precision: str = "fp32"


@dataclass(frozen=True)
class Done:
    """What is in a complete partition, or in several.

    Attributes:
        pictures: rows.
        faces: of all its pictures.
        unreadable: rows with an error.
    """

    pictures: int = 0
    faces: int = 0
    unreadable: int = 0

    def __add__(self, other: Done) -> Done:
        """Return what is in both."""
        return Done(
            self.pictures + other.pictures, self.faces + other.faces, self.unreadable + other.unreadable
        )


@dataclass(frozen=True)
class Archive:
    """An archive whose plan is complete; see `open_archive`.

    Attributes:
        folder: where it lies.
        recipe: what decides its rows.
        pictures: how many are planned.
        partitions: how many are planned.
    """

    folder: Folder
    recipe: Recipe
    pictures: int
    partitions: int

    def pending(self) -> list[int]:
        """Numbers of the partitions that are not complete, in order.

        Raises:
            OSError: the folder cannot be listed.
        """
        committed, files = self.folder.names(HOME), self.folder.names()
        return [
            number
            for number in range(self.partitions)
            if f"{part(number)}.done.json" not in committed or f"{part(number)}.parquet" not in files
        ]

    def inputs(self, number: int) -> list[str]:
        """Names of a partition's pictures, in the order of its rows.

        Raises:
            ArchiveError: the file that says so is damaged.
            OSError: they cannot be read.
        """
        data = self.folder.read(_inputs(number))
        with _intact(self.folder, _inputs(number)):
            return [str(name) for name in json.loads(data)["inputs"]]

    def done(self, number: int) -> Done | None:
        """What is in a partition; None if it is not complete.

        Raises:
            ArchiveError: the file that says so is damaged.
            OSError: that cannot be read.
        """
        try:
            data = self.folder.read(_done(number))
        except FileNotFoundError:
            return None
        with _intact(self.folder, _done(number), "without it, its partition is made again"):
            told = json.loads(data)
            return Done(int(told["pictures"]), int(told["faces"]), int(told["unreadable"]))

    def total(self) -> Done:
        """What is in all complete partitions.

        Raises:
            ArchiveError: a file that says so is damaged.
            OSError: that cannot be read.
        """
        each = in_order(self.done, range(self.partitions), READERS)
        return sum((done for done in each if done is not None), Done())

    def commit(self, number: int, rows: Sequence[dict[str, Any]]) -> Done:
        """Write a partition, in place of one that was left, and then that it is complete.

        Raises:
            OSError: it cannot be written; the partition is not complete then.
        """
        data = to_parquet(rows, self.recipe.attributes)
        done = Done(
            pictures=len(rows),
            faces=sum(len(row["faces"] or ()) for row in rows),
            unreadable=sum(row["error"] is not None for row in rows),
        )
        checked = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.folder.write(f"{part(number)}.parquet", data)
        self.folder.write(_done(number), _json(asdict(done) | checked))
        return done


def open_archive(folder: Folder, recipe: Recipe, names: Iterable[str]) -> Archive:
    """Open an archive to go on with it, or plan a new one of the pictures with these `names`.

    `names` are taken only if there is no complete plan yet.

    Raises:
        ArchiveError: the folder holds something else, or an archive with another recipe or whose
            ``archive.json`` is damaged; or no picture.
        OSError: the folder, or what `names` lists, cannot be read or written.
    """
    if "archive.json" in folder.names(HOME):
        return _continued(folder, recipe)
    if folder.names() - {HOME}:
        raise ArchiveError(f"{folder.url} holds files, but no archive: name a folder that is empty or new")
    pictures = partitions = 0
    for inputs in _chunks(names, recipe.partition):
        file = f"{part(partitions)}.parquet"
        folder.write(_inputs(partitions), _json({"partition": file, "inputs": inputs}))
        pictures, partitions = pictures + len(inputs), partitions + 1
    if not pictures:
        raise ArchiveError(f"no picture in {', '.join(recipe.paths)}")
    plan = {"version": VERSION, "recipe": asdict(recipe), "pictures": pictures, "partitions": partitions}
    folder.write(ARCHIVE, _json(plan))
    return Archive(folder, recipe, pictures, partitions)


def part(number: int) -> str:
    """A partition's name, without a suffix."""
    return f"part-{number:06d}"


def _continued(folder: Folder, recipe: Recipe) -> Archive:
    """Open an archive that was begun with the same recipe."""
    data = folder.read(ARCHIVE)
    with _intact(folder, ARCHIVE):
        plan = json.loads(data)
        if plan["version"] != VERSION:
            raise ArchiveError(
                f"{folder.url} has layout {plan['version']}; this version of s3fd has {VERSION}"
            )
        wanted = json.loads(_json(asdict(recipe)))
        for key, value in plan["recipe"].items():
            if wanted.get(key) != value:
                raise ArchiveError(
                    f"{folder.url} was begun with {key} {value!r}, not {wanted.get(key)!r}: "
                    "name another folder"
                )
        return Archive(folder, recipe, int(plan["pictures"]), int(plan["partitions"]))


@contextmanager
def _intact(folder: Folder, name: str, remedy: str = "name another folder") -> Iterator[None]:
    """Around the use of what a file of the manifest says: turn what is wrong about it into ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ArchiveError(f"{folder.url}/{name} is damaged: {remedy}") from error


def _inputs(number: int) -> str:
    """Name of the file with the names of a partition's pictures."""
    return f"{HOME}/{part(number)}.inputs.json"


def _done(number: int) -> str:
    """Name of the file that says that a partition is complete."""
    return f"{HOME}/{part(number)}.done.json"


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Items in lists of `size`, the last one with what is left."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _json(value: object) -> bytes:
    """A value as JSON; file names that are no text keep their bytes, as Python's escapes."""
    return (json.dumps(value, indent=1) + "\n").encode()
