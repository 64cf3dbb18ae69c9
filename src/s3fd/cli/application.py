"""What all commands of the command line have in common."""

from __future__ import annotations

from typing import Any

import typer


def application(**options: Any) -> typer.Typer:
    """Make a Typer application whose help is Markdown, and so as wide as the terminal; errors stay Python's.

    ``-h`` asks for the help too, also of each command below it. Further `options` are Typer's.
    """
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )
