"""What a command says of annotations that it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.data.sample import Problem

SHOWN_PROBLEMS = 20


def report_skipped(problems: Sequence[Problem | str], kind: str) -> None:
    """Say once, on standard error, which entries, each of a `kind`, were skipped and why."""
    for problem in problems[:SHOWN_PROBLEMS]:
        typer.echo(f"skipped {problem}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        typer.echo(f"skipped {counted(len(problems) - SHOWN_PROBLEMS, f'more {kind}')}", err=True)
