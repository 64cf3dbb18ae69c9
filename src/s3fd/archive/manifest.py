"""Archives: Parquet partitions, with a manifest of the pictures in each and of its completion.

::

    archive/
      part-000000.parquet            rows (`s3fd.archive.rows`)
      _manifest/
        archive.json                 how rows are made; number of pictures and partitions
        part-000000.inputs.json      names of its pictures, in the order of its rows
        part-000000.done.json        written last: its rows, faces, unreadable pictures, bytes and SHA-256

The whole archive is planned before the first picture is processed, and ``archive.json`` is written when the
plan is complete. From then on, a partition is either complete or pending. If a run ends in the middle of a
partition, the partition is made again from the same names. Partitions depend only on the plan, so any number
of processes can make them. Parquet readers skip folders whose names begin with an underscore.
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
"""Version of the layout above."""

PARTITION = 5_000
"""Default number of pictures per partition: minutes of work on a CPU, which is what a crash costs each
worker, and files of about a megabyte."""

HOME = "_manifest"
ARCHIVE = f"{HOME}/archive.json"


class ArchiveError(ValueError):
    """Raised for a folder that is not an archive, has another recipe or layout, or has a damaged manifest."""


@dataclass(frozen=True)
class Recipe:
    """The settings that determine an archive's rows.

    Attributes:
        paths: the user's input paths, as absolute paths or URLs.
        weights: SHA-256 of the model file, in hexadecimal.
        size: `Detector.size`, as text.
        min_score: faces score above this, 0–1.
        min_size: minimum shorter side of a face in pixels.
        attributes: attributes to predict for every face.
        min_probability: an attribute with a lower probability is null.
        partition: number of pictures per partition.
        precision: numeric precision of the network.
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
    """Counts of one or more complete partitions.

    Attributes:
        pictures: number of rows.
        faces: number of faces in all pictures.
        unreadable: number of rows with an error.
    """

    pictures: int = 0
    faces: int = 0
    unreadable: int = 0

    def __add__(self, other: Done) -> Done:
        """Return the sums of both."""
        return Done(
            self.pictures + other.pictures, self.faces + other.faces, self.unreadable + other.unreadable
        )


@dataclass(frozen=True)
class Archive:
    """An archive whose plan is complete; see `open_archive`.

    Attributes:
        folder: the archive's folder.
        recipe: the settings that determine its rows.
        pictures: number of planned pictures.
        partitions: number of planned partitions.
    """

    folder: Folder
    recipe: Recipe
    pictures: int
    partitions: int

    def pending(self) -> list[int]:
        """Return the numbers of the partitions that are not complete, in order.

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
        """Return the names of a partition's pictures, in the order of its rows.

        Raises:
            ArchiveError: the file with the names is damaged.
            OSError: it cannot be read.
        """
        data = self.folder.read(_inputs(number))
        with _intact(self.folder, _inputs(number)):
            return [str(name) for name in json.loads(data)["inputs"]]

    def done(self, number: int) -> Done | None:
        """Return the counts of a partition, or None if it is not complete.

        Raises:
            ArchiveError: the file with the counts is damaged.
            OSError: it cannot be read.
        """
        try:
            data = self.folder.read(_done(number))
        except FileNotFoundError:
            return None
        with _intact(self.folder, _done(number), "delete it to make its partition again"):
            told = json.loads(data)
            return Done(int(told["pictures"]), int(told["faces"]), int(told["unreadable"]))

    def total(self) -> Done:
        """Return the total counts of all complete partitions.

        Raises:
            ArchiveError: a file with counts is damaged.
            OSError: it cannot be read.
        """
        each = in_order(self.done, range(self.partitions), READERS)
        return sum((done for done in each if done is not None), Done())

    def commit(self, number: int, rows: Sequence[dict[str, Any]]) -> Done:
        """Write a partition, replacing an unfinished one, and then mark it as complete.

        Raises:
            OSError: the partition cannot be written, and is not complete.
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
    """Open an archive to continue it, or plan a new one of the pictures with these `names`.

    `names` is only consumed if there is no complete plan yet.

    Raises:
        ArchiveError: the folder holds other files, an archive with another recipe or layout, or a damaged
            ``archive.json``; or there are no pictures.
        OSError: the folder cannot be read or written, or listing the `names` fails.
    """
    if "archive.json" in folder.names(HOME):
        return _continued(folder, recipe)
    if folder.names() - {HOME}:
        raise ArchiveError(f"{folder.url} contains files, but no archive: choose an empty or new folder")
    pictures = partitions = 0
    for inputs in _chunks(names, recipe.partition):
        file = f"{part(partitions)}.parquet"
        folder.write(_inputs(partitions), _json({"partition": file, "inputs": inputs}))
        pictures, partitions = pictures + len(inputs), partitions + 1
    if not pictures:
        raise ArchiveError(f"no pictures in {', '.join(recipe.paths)}")
    plan = {"version": VERSION, "recipe": asdict(recipe), "pictures": pictures, "partitions": partitions}
    folder.write(ARCHIVE, _json(plan))
    return Archive(folder, recipe, pictures, partitions)


def part(number: int) -> str:
    """Return the file name of a partition, without a suffix."""
    return f"part-{number:06d}"


def _continued(folder: Folder, recipe: Recipe) -> Archive:
    """Open an archive that was planned with the same recipe."""
    data = folder.read(ARCHIVE)
    with _intact(folder, ARCHIVE):
        plan = json.loads(data)
        if plan["version"] != VERSION:
            raise ArchiveError(
                f"{folder.url} has layout {plan['version']}, but this version of s3fd uses {VERSION}"
            )
        wanted = _plain(recipe)
        begun = _plain(Recipe((), "")) | plan["recipe"]  # an earlier version's lacks what had no other value
        for key, value in begun.items():
            if wanted.get(key) != value:
                raise ArchiveError(
                    f"{folder.url} was started with {key} {value!r}, not {wanted.get(key)!r}: "
                    "choose another folder"
                )
        return Archive(folder, recipe, int(plan["pictures"]), int(plan["partitions"]))


@contextmanager
def _intact(folder: Folder, name: str, remedy: str = "choose another folder") -> Iterator[None]:
    """Raise ArchiveError if the content of a manifest file turns out to be invalid when it is used."""
    try:
        yield
    except ArchiveError:
        raise
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ArchiveError(f"{folder.url}/{name} is damaged: {remedy}") from error


def _inputs(number: int) -> str:
    """Return the name of the file that lists a partition's pictures."""
    return f"{HOME}/{part(number)}.inputs.json"


def _done(number: int) -> str:
    """Return the name of the file that marks a partition as complete."""
    return f"{HOME}/{part(number)}.done.json"


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as it is read back from JSON."""
    plain: dict[str, Any] = json.loads(_json(asdict(recipe)))
    return plain


def _json(value: object) -> bytes:
    """Encode a value as JSON. Undecodable bytes in file names are kept as Python's surrogate escapes."""
    return (json.dumps(value, indent=1) + "\n").encode()
