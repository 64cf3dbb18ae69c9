"""A gallery in one SQLite file, searched exactly in memory."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.closing import Closing
from s3fd.identity.recogniser import Model
from s3fd.identity.store import (
    Calibration,
    GalleryError,
    GalleryUnavailable,
    Match,
    check_query,
    check_vectors,
    composed,
    spellings,
)

FORMAT = "s3fd gallery 1"
LITTLE_ENDIAN = np.dtype("<f4")

SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE vector (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX vector_person ON vector (person);
"""

CALLED = "SELECT id FROM person WHERE name IN (?, ?, ?)"
"""Who has one of the three spellings of a name."""

BUSY_SECONDS = 30.0
"""How long a process waits for another that is writing."""


class SqliteStore(Closing):
    """A `s3fd.identity.store.Store` in a file; used in a ``with`` block, or closed by `close`.

    The file is the truth. A search reads it into one matrix, again after any process has changed it. A thread
    uses the one that it opened. Every method but `close` and `check` raises GalleryUnavailable where another
    process has the file locked for longer than `BUSY_SECONDS`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, model: Model) -> None:
        """Use an opened connection to the file at `path`; see `create_store` and `open_store`."""
        self._path = path
        self._file = path.stat()
        self._connection = connection
        self.model = model
        self._version: tuple[int, int] | None = None
        self._matrix: FloatArray = np.zeros((0, model.dimension), np.float32)
        self._names: list[str] = []
        self._starts: NDArray[np.int64] = np.zeros(0, np.int64)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def check(self) -> None:
        """Raise OSError if the file is no longer what is opened: it shows who was in it, and keeps nobody.

        Raises:
            FileNotFoundError: it was deleted.
            GalleryUnavailable: another has taken its place, such as an earlier one that was put back.
        """
        if not self._path.is_file():
            raise FileNotFoundError(f"{self._path}: no such gallery")
        if not os.path.samestat(self._file, self._path.stat()):
            raise GalleryUnavailable(f"{self._path}: another file has taken its place")

    def add(self, name: str, vectors: FloatArray, sources: Sequence[str]) -> None:
        """Add vectors (N, D) of length 1 of a person: once this returns they are on the disk.

        Raises:
            GalleryError: no name.
            ValueError: vectors of another shape or length, or not a source for each.
        """
        check_vectors(self.model, name, vectors, sources)
        name = composed(name)
        with _asked(self._path), self._connection as transaction:
            transaction.execute("INSERT OR IGNORE INTO person (name) VALUES (?)", (name,))
            (person,) = transaction.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()
            transaction.executemany(
                "INSERT INTO vector (person, source, vector) VALUES (?, ?, ?)",
                [
                    (person, source, row.astype(LITTLE_ENDIAN).tobytes())
                    for source, row in zip(sources, vectors, strict=True)
                ],
            )

    def remove(self, name: str) -> int:
        """Delete a person: what the file held of them is overwritten with zeros, and the file rewritten.

        Raises:
            GalleryError: nobody of that name.
        """
        with _asked(self._path):
            with self._connection as transaction:
                names = self._known(name)
                count = transaction.execute(f"DELETE FROM vector WHERE person IN ({CALLED})", names).rowcount
                transaction.execute(f"DELETE FROM person WHERE id IN ({CALLED})", names)
            self._connection.execute("VACUUM")
        return count

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name."""
        query = "SELECT name, COUNT(*) FROM vector JOIN person ON person.id = person GROUP BY person"
        with _asked(self._path):
            return dict(sorted(self._connection.execute(query)))

    def vectors_of(self, name: str) -> FloatArray:
        """Vectors (N, D) of a person, in the order they were added; GalleryError: nobody of that name."""
        with _asked(self._path):
            rows = self._connection.execute(
                f"SELECT vector FROM vector WHERE person IN ({CALLED}) ORDER BY id", self._known(name)
            )
            return self._array(b"".join(row for (row,) in rows))

    def search(self, vector: FloatArray, count: int = 1) -> list[Match]:
        """Compare `vector` (D,), of length 1, with every vector of the gallery: the best `count` people.

        Raises:
            ValueError: a vector of another dimension.
        """
        check_query(self.model, vector)
        with _asked(self._path):
            self._refresh()
        if not self._names or count < 1:
            return []
        best = np.maximum.reduceat(self._matrix @ vector, self._starts)
        count = min(count, len(best))
        chosen = np.argpartition(-best, count - 1)[:count]
        chosen = chosen[np.argsort(-best[chosen], kind="stable")]
        return [Match(self._names[i], float(np.clip(best[i], -1, 1))) for i in chosen]

    @property
    def calibration(self) -> Calibration | None:
        """The thresholds, if there are any."""
        with _asked(self._path):
            row = self._connection.execute("SELECT value FROM about WHERE key = 'calibration'").fetchone()
        return Calibration(**json.loads(row[0])) if row else None

    def calibrate(self, calibration: Calibration) -> None:
        """Keep these thresholds."""
        with _asked(self._path), self._connection as transaction:
            transaction.execute(
                "INSERT OR REPLACE INTO about VALUES ('calibration', ?)", (json.dumps(asdict(calibration)),)
            )

    def _known(self, name: str) -> list[str]:
        """The spellings of a name; raises GalleryError if nobody has one of them."""
        names = spellings(name)
        if self._connection.execute(CALLED, names).fetchone() is None:
            raise GalleryError(f"nobody in this gallery is called {name!r}")
        return names

    def _array(self, data: bytes | bytearray) -> FloatArray:
        """Vectors (N, D) from the bytes of all of them."""
        return (
            np.frombuffer(data, LITTLE_ENDIAN)
            .reshape(-1, self.model.dimension)
            .astype(np.float32, copy=False)
        )

    def _refresh(self) -> None:
        """Read the file unless it is as it was; the rows of a person stand together."""
        # The first number counts the changes by others, the second those by this connection.
        (others,) = self._connection.execute("PRAGMA data_version").fetchone()
        version = (others, self._connection.total_changes)
        if version == self._version:
            return
        data = bytearray()
        names, starts, rows = [], [], 0
        query = (
            "SELECT person, name, vector FROM vector JOIN person ON person.id = person "
            "ORDER BY person, vector.id"
        )
        for (_, name), group in groupby(self._connection.execute(query), key=lambda row: row[:2]):
            starts.append(rows)
            for *_, vector in group:
                data += vector
                rows += 1
            names.append(name)
        self._matrix, self._names = self._array(data), names
        self._starts = np.array(starts, np.int64)
        self._version = version


def create_store(path: str | os.PathLike[str], model: Model) -> SqliteStore:
    """Make an empty gallery for vectors of `model`, a file that only its owner may read.

    It appears complete or not at all.

    Raises:
        FileExistsError: there is a file already.
        OSError: it cannot be written.
    """
    path = Path(path)
    opened, name = tempfile.mkstemp(".partial", f".{path.name}.", path.parent)  # its owner's alone
    os.close(opened)
    temporary = Path(name)
    try:
        with closing(sqlite3.connect(temporary)) as connection:
            _prepare(connection)
            connection.executescript(SCHEMA)
            about = {"format": FORMAT, "model": json.dumps(asdict(model))}
            with connection:
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        os.link(temporary, path)  # unlike a rename, it never replaces another's file
    finally:
        temporary.unlink()
    return open_store(path)


def open_store(path: str | os.PathLike[str]) -> SqliteStore:
    """Open a gallery.

    Raises:
        FileNotFoundError: there is no such file.
        GalleryError: the file is no gallery.
        GalleryUnavailable: another process has locked it for longer than `BUSY_SECONDS`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such gallery")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        with _asked(path):
            _prepare(connection)
            about = dict(connection.execute("SELECT key, value FROM about"))
    except GalleryUnavailable:
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise GalleryError(f"{path}: not a gallery: {error}") from error
    if about.get("format") != FORMAT:
        connection.close()
        raise GalleryError(f"{path}: not a gallery of this version")
    return SqliteStore(path, connection, Model(**json.loads(about["model"])))


@contextmanager
def _asked(path: Path) -> Iterator[None]:
    """Around the use of the file at `path`: say so if another process has it locked."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # before Python 3.11 there is no number for it
            raise GalleryUnavailable(f"{path}: another process has locked it") from error
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    """Ask of a connection what a gallery needs.

    A rollback journal, not a write-ahead log: the log would keep deleted vectors. EXTRA also syncs the
    folder, so that not even a power cut brings back what was committed as deleted.
    """
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")
