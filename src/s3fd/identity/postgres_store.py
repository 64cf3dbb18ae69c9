"""Galleries in a PostgreSQL database with the pgvector extension, for when one machine is too small."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector
from psycopg.conninfo import conninfo_to_dict

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

SCHEMA = """
CREATE TABLE s3fd_about (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE s3fd_person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE s3fd_vector (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person bigint NOT NULL REFERENCES s3fd_person (id) ON DELETE CASCADE,
    source text NOT NULL,
    vector vector({dimension}) NOT NULL
);
CREATE INDEX s3fd_vector_person ON s3fd_vector (person);
"""

SEARCH = """
SELECT name, score FROM (
    SELECT person, max(-(vector <#> %s)) AS score FROM s3fd_vector GROUP BY person
    ORDER BY score DESC, person LIMIT %s
) AS best JOIN s3fd_person ON s3fd_person.id = person ORDER BY score DESC, person
"""
"""``<#>`` is the negative inner product, which for vectors of length 1 is the negative cosine."""


WAITING = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}
"""Timeouts for libpq, in seconds except for the last, which is in milliseconds. They detect an unreachable
server sooner than TCP's own timeouts of minutes or hours. The URL can override them."""


LOCKED = "5s"
"""How long a statement waits for other transactions, such as a backup. Without a limit, a removal that waits
for one of them would stop every other query of the tables, in all services."""


class PostgresStore(Closing):
    """A `s3fd.identity.store.Store` in the tables ``s3fd_…`` of a database; used in a ``with`` block.

    Each schema holds one gallery; the URL can select another schema by its ``search_path``. The server runs
    the search and compares the vector with all others. No approximate index is used, so results are exact.
    """

    def __init__(self, connection: psycopg.Connection[Any], model: Model) -> None:
        """Use an open connection; see `create_postgres` and `open_postgres`."""
        self._connection = connection
        self.model = model

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def check(self) -> None:
        """Raise GalleryUnavailable if the connection is lost."""
        with _told():
            self._connection.execute("SELECT 1")

    def add(self, name: str, vectors: FloatArray, sources: Sequence[str]) -> int:
        """Add the vectors (N, D) of length 1 that are `new` to a person; return their number.

        When this returns, they are on the server's disk.

        Raises:
            GalleryError: the name is empty, or the person was removed at the same moment.
            ValueError: the vectors have another shape or length, or there is not one source for each.
        """
        check_vectors(self.model, name, vectors, sources)
        stored_as = composed(name)
        with _told(), self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("INSERT INTO s3fd_person (name) VALUES (%s) ON CONFLICT DO NOTHING", (stored_as,))
            # The lock prevents in between that the person is removed, or the same is added.
            cursor.execute("SELECT id FROM s3fd_person WHERE name = %s FOR UPDATE", (stored_as,))
            row = cursor.fetchone()
            if row is None:
                raise GalleryError(f"{name!r} was removed at the same time")
            added = new(self._stored(name), vectors)
            cursor.executemany(
                "INSERT INTO s3fd_vector (person, source, vector) VALUES (%s, %s, %s)",
                [(row[0], sources[i].replace("\0", "\ufffd"), vectors[i]) for i in added],
            )
        return len(added)

    def remove(self, name: str) -> int:
        """Delete a person, and rewrite the tables without them.

        The server's write-ahead log and its backups keep what was deleted until they are recycled. If the
        tables cannot be rewritten, for example because another transaction holds them for longer than
        `LOCKED`, the next removal rewrites them, and a warning is logged.

        Raises:
            GalleryError: nobody has this name.
        """
        with _told():
            with self._connection.transaction():
                people = self._called(name)
                count = self._connection.execute(
                    "DELETE FROM s3fd_vector WHERE person = ANY(%s)", (people,)
                ).rowcount
                self._connection.execute("DELETE FROM s3fd_person WHERE id = ANY(%s)", (people,))
            try:
                self._connection.execute("VACUUM (FULL, ANALYZE) s3fd_vector, s3fd_person")
            except psycopg.Error as error:
                unwritten("the database", _line(error))
        return count

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name."""
        query = (
            "SELECT name, count(*) FROM s3fd_vector JOIN s3fd_person ON s3fd_person.id = person GROUP BY name"
        )
        with _told():
            return dict(sorted(self._connection.execute(query).fetchall()))

    def vectors_of(self, name: str) -> FloatArray:
        """Return a person's vectors (N, D) in insertion order. Raises GalleryError for an unknown name."""
        with _told():
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
        if count < 1:
            return []
        with _told():
            rows = self._connection.execute(SEARCH, (vector, count)).fetchall()
        return [Match(name, float(np.clip(score, -1, 1))) for name, score in rows]

    @property
    def calibration(self) -> Calibration | None:
        """The thresholds, or None if the gallery is not calibrated."""
        with _told():
            row = self._connection.execute(
                "SELECT value FROM s3fd_about WHERE key = 'calibration'"
            ).fetchone()
        return parse(Calibration, row[0]) if row else None

    def calibrate(self, calibration: Calibration) -> None:
        """Store the thresholds."""
        with _told():
            self._connection.execute(
                "INSERT INTO s3fd_about VALUES ('calibration', %s) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (json.dumps(asdict(calibration)),),
            )

    def _called(self, name: str) -> list[int]:
        """Return a person's ids, one per stored spelling. Raises GalleryError if there are none."""
        rows = self._connection.execute(
            "SELECT id FROM s3fd_person WHERE name = ANY(%s)", (_spellings(name),)
        ).fetchall()
        if not rows:
            raise nobody(name)
        return [int(number) for (number,) in rows]

    def _stored(self, name: str) -> FloatArray:
        """Read a person's vectors (N, D) in insertion order; none for an unknown name."""
        rows = self._connection.execute(
            "SELECT vector FROM s3fd_vector JOIN s3fd_person ON s3fd_person.id = person "
            "WHERE name = ANY(%s) ORDER BY s3fd_vector.id",
            (_spellings(name),),
        ).fetchall()
        vectors = [_numbers(vector) for (vector,) in rows]
        return np.array(vectors, np.float32).reshape(-1, self.model.dimension)


def create_postgres(url: str, model: Model) -> PostgresStore:
    """Create an empty gallery for vectors of `model` in the database at `url`, in one transaction.

    Raises:
        GalleryError: the database already has a gallery, or the URL is invalid.
        GalleryUnavailable: the server does not answer, or has no pgvector.
    """
    with _told():
        connection = _connect(url)
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                if _exists(connection):
                    raise GalleryError("this database already has a gallery")
                connection.execute(SCHEMA.format(dimension=int(model.dimension)).encode())
                about = {"format": FORMAT, "model": json.dumps(asdict(model))}
                for key, value in about.items():
                    connection.execute("INSERT INTO s3fd_about VALUES (%s, %s)", (key, value))
        finally:
            connection.close()
    return open_postgres(url)


def open_postgres(url: str) -> PostgresStore:
    """Open the gallery in the database at `url`.

    Raises:
        GalleryError: there is none, or one of another version, or the URL is invalid.
        GalleryUnavailable: the server does not answer.
    """
    with _told():
        connection = _connect(url)
        try:
            if not _exists(connection):
                raise GalleryError("there is no gallery in this database")
            about: dict[str, str] = dict(connection.execute("SELECT key, value FROM s3fd_about").fetchall())
            if about.get("format") != FORMAT:
                raise GalleryError("not a gallery that this version of s3fd can read")
            model = parse(Model, about.get("model", ""))
            register_vector(connection)
        except BaseException:
            connection.close()
            raise
    return PostgresStore(connection, model)


def has_postgres(url: str) -> bool:
    """Whether there is a gallery in the database at `url`. Raises as `open_postgres` does."""
    with _told(), _connect(url) as connection:
        return _exists(connection)


def shown(url: str) -> str:
    """Describe the database of a URL, without the password. Raises GalleryError for an invalid URL."""
    parts = _parse(url)
    where = str(parts.get("host", ""))
    where += f":{parts['port']}" if "port" in parts else ""
    return f"PostgreSQL database {parts.get('dbname', '')}".rstrip() + (f" on {where}" if where else "")


def _connect(url: str) -> psycopg.Connection[Any]:
    """Connect in autocommit mode. Raises GalleryError for an invalid URL."""
    parts: dict[str, Any] = {**WAITING, "fallback_application_name": "s3fd", **_parse(url)}
    connection = psycopg.connect(autocommit=True, **parts)
    connection.execute(f"SET lock_timeout = '{LOCKED}'")
    return connection


def _parse(url: str) -> dict[str, Any]:
    """Parse a URL into libpq's parameters.

    Raises:
        GalleryError: the URL is invalid, or part of an unescaped password was parsed as host, port or
            database, which messages would reveal. The message repeats nothing of the URL.
    """
    with suppress(psycopg.Error):
        parts = conninfo_to_dict(url)
        split = any("@" in str(parts.get(name, ""))[1:] for name in ("host", "dbname"))
        if not split and str(parts.get("port", "0")).replace(",", "").isdigit():
            return parts
    raise GalleryError(
        "not a valid database URL: expected postgresql://USER@HOST/DATABASE; in names and passwords, write "
        "@ : / ? # % as %40 %3A %2F %3F %23 %25"
    )


def _exists(connection: psycopg.Connection[Any]) -> bool:
    """Whether the gallery's tables exist in the current schema."""
    row = connection.execute(
        "SELECT to_regclass(quote_ident(current_schema()) || '.s3fd_about') IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def _spellings(name: str) -> list[str]:
    """Return the `spellings` of a name that may be stored: PostgreSQL's text cannot contain NUL."""
    return [] if "\0" in name else spellings(name)


def _numbers(vector: Any) -> FloatArray:
    """Convert a vector from pgvector, which returns an array or a wrapper, depending on its version."""
    numbers: FloatArray = vector if isinstance(vector, np.ndarray) else vector.to_numpy()
    return numbers


@contextmanager
def _told() -> Iterator[None]:
    """Convert errors of the server or the client library to a `GalleryUnavailable` with a one-line message.

    These errors never contain the password. They may contain the values of a row, but not in the first line.
    """
    try:
        yield
    except psycopg.Error as error:
        raise GalleryUnavailable(f"PostgreSQL: {_line(error)}") from error


def _line(error: psycopg.Error) -> str:
    """Return the first line of an error, which has no values of a row."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
