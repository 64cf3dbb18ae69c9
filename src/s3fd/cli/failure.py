"""How a command ends when it cannot go on: one line on standard error, exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from s3fd.extras import how_to_install

USAGE = 2
"""Exit code of a command that was called wrongly or cannot start."""


def fail(message: str) -> NoReturn:
    """Print `message` and end with exit code 2."""
    typer.echo(f"s3fd: {message}", err=True)
    raise typer.Exit(USAGE)


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around the imports of a command: turn a missing package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(how_to_install(error, "this command needs", extra))
