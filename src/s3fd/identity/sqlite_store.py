"""Galleries in one SQLite file, with exact search in memory."""

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
    new,
    nobody,
    parse,
    spellings,
    unwritten,
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
"""Selects the people who have one of the three spellings of a name."""

BUSY_SECONDS = 30.0
"""How long a process waits while another is writing."""


class SqliteStore(Closing):
    """A `s3fd.identity.store.Store` in a file; used in a ``with`` block, or closed by `close`.

    The file is the source of truth. A search caches its vectors in one matrix, which is read again after any
    process has changed the file. A store may only be used in the thread that opened it. All methods except
    `close` and `check` raise GalleryUnavailable if another process locks the file for longer than
    `BUSY_SECONDS`, or if the file is damaged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, model: Model) -> None:
        """Use an open connection to the file at `path`; see `create_store` and `open_store`."""
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
        """Raise OSError if `path` is no longer the file that is open.

        The open connection would then show outdated people, and what is added to it would be lost.

        Raises:
            FileNotFoundError: the file was deleted.
            GalleryUnavailable: another file has taken its place, such as a restored backup.
        """
        if not self._path.is_file():
            raise FileNotFoundError(f"{self._path}: no such gallery")
        if not os.path.samestat(self._file, self._path.stat()):
            raise GalleryUnavailable(f"{self._path}: it was replaced by another file")

    def add(self, name: str, vectors: FloatArray, sources: Sequence[str]) -> int:
        """Add the vectors (N, D) of length 1 that are `new` to a person; return their number.

        When this returns, they are on the disk.

        Raises:
            GalleryError: the name is empty.
            ValueError: the vectors have another shape or length, or there is not one source for each.
        """
        check_vectors(self.model, name, vectors, sources)
        with _asked(self._path), self._connection as transaction:
            transaction.execute("INSERT OR IGNORE INTO person (name) VALUES (?)", (composed(name),))
            # From here on, no other process adds the same.
            (person,) = transaction.execute(
                "SELECT id FROM person WHERE name = ?", (composed(name),)
            ).fetchone()
            added = new(self._stored(name), vectors)
            transaction.executemany(
                "INSERT INTO vector (person, source, vector) VALUES (?, ?, ?)",
                [(person, sources[i], vectors[i].astype(LITTLE_ENDIAN).tobytes()) for i in added],
            )
        return len(added)

    def remove(self, name: str) -> int:
        """Delete a person: overwrite their data in the file with zeros, and rewrite the file.

        If it cannot be rewritten, for example on a full disk, the data is overwritten all the same, and a
        warning is logged.

        Raises:
            GalleryError: nobody has this name.
        """
        with _asked(self._path), self._connection as transaction:
            names = self._known(name)
            count = transaction.execute(f"DELETE FROM vector WHERE person IN ({CALLED})", names).rowcount
            transaction.execute(f"DELETE FROM person WHERE id IN ({CALLED})", names)
        try:
            self._connection.execute("VACUUM")
        except sqlite3.DatabaseError as error:  # such as a full disk; their data is overwritten already
            unwritten(str(self._path), str(error))
        return count

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name."""
        query = "SELECT name, COUNT(*) FROM vector JOIN person ON person.id = person GROUP BY person"
        with _asked(self._path):
            return dict(sorted(self._connection.execute(query)))

    def vectors_of(self, name: str) -> FloatArray:
        """Return a person's vectors (N, D) in insertion order. Raises GalleryError for an unknown name."""
        with _asked(self._path):
            vectors = self._stored(name)
        if not len(vectors):
            raise nobody(name)
        return vectors

    def search(self, vector: FloatArray, count: int = 1) -> list[Match]:
        """Compare `vector` (D,), of length 1, with all vectors and return the `count` most similar people.

        Raises:
            ValueError: the vector has another dimension.
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
        """The thresholds, or None if the gallery is not calibrated."""
        with _asked(self._path):
            row = self._connection.execute("SELECT value FROM about WHERE key = 'calibration'").fetchone()
        return parse(Calibration, row[0]) if row else None

    def calibrate(self, calibration: Calibration) -> None:
        """Store the thresholds."""
        with _asked(self._path), self._connection as transaction:
            transaction.execute(
                "INSERT OR REPLACE INTO about VALUES ('calibration', ?)", (json.dumps(asdict(calibration)),)
            )

    def _known(self, name: str) -> list[str]:
        """Return the spellings of a name. Raises GalleryError if nobody has any of them."""
        names = spellings(name)
        if self._connection.execute(CALLED, names).fetchone() is None:
            raise nobody(name)
        return names

    def _stored(self, name: str) -> FloatArray:
        """Read a person's vectors (N, D) in insertion order; none for an unknown name."""
        query = f"SELECT vector FROM vector WHERE person IN ({CALLED}) ORDER BY id"
        return self._array(b"".join(row for (row,) in self._connection.execute(query, spellings(name))))

    def _array(self, data: bytes | bytearray) -> FloatArray:
        """Decode vectors (N, D) from their concatenated bytes."""
        return (
            np.frombuffer(data, LITTLE_ENDIAN)
            .reshape(-1, self.model.dimension)
            .astype(np.float32, copy=False)
        )

    def _refresh(self) -> None:
        """Read the vectors again if the file has changed, with the rows of each person next to each other."""
        # The first number changes with writes by other connections, the second with those by this one.
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
    """Create an empty gallery for vectors of `model`, in a file that only its owner can read.

    The file is created atomically.

    Raises:
        FileExistsError: the file already exists.
        OSError: it cannot be written.
    """
    path = Path(path)
    try:  # readable by its owner only
        opened, name = tempfile.mkstemp(".partial", f".{path.name}.", path.parent)
    except OSError as error:
        error.filename = str(path)  # not the temporary file's
        raise
    os.close(opened)
    temporary = Path(name)
    try:
        with _asked(path), closing(sqlite3.connect(temporary)) as connection:
            _prepare(connection)
            connection.executescript(SCHEMA)
            about = {"format": FORMAT, "model": json.dumps(asdict(model))}
            with connection:
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        os.link(temporary, path)  # unlike a rename, this never replaces an existing file
    finally:
        temporary.unlink()
    return open_store(path)


def open_store(path: str | os.PathLike[str]) -> SqliteStore:
    """Open a gallery.

    Raises:
        FileNotFoundError: there is no such file.
        GalleryError: the file is not a gallery, or one of another version.
        GalleryUnavailable: another process has locked the file for longer than `BUSY_SECONDS`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such gallery")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        _prepare(connection)
        about = dict(connection.execute("SELECT key, value FROM about"))
        if about.get("format") != FORMAT:
            raise GalleryError(f"{path}: not a gallery that this version of s3fd can read")
        return SqliteStore(path, connection, parse(Model, about.get("model", "")))
    except sqlite3.DatabaseError as error:
        connection.close()
        if _is_locked(error):
            raise _unavailable(path, error) from error
        raise GalleryError(f"{path}: not a gallery, or a damaged one: {error}") from error
    except GalleryError:
        connection.close()
        raise


@contextmanager
def _asked(path: Path) -> Iterator[None]:
    """Raise GalleryUnavailable if the file at `path` is locked by another process, damaged or unreadable."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a mistake of the caller, such as a store used in another thread
        raise
    except sqlite3.DatabaseError as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: sqlite3.Error) -> GalleryUnavailable:
    return GalleryUnavailable(f"{path}: {'another process has locked it' if _is_locked(error) else error}")


def _is_locked(error: sqlite3.Error) -> bool:
    return "locked" in str(error)  # error codes are only available from Python 3.11


def _prepare(connection: sqlite3.Connection) -> None:
    """Configure a connection for a gallery.

    The rollback journal is used rather than a write-ahead log, which would keep deleted vectors. EXTRA also
    syncs the folder, so that not even a power cut brings back deleted data after the commit.
    """
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")
