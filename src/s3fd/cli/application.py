"""What all commands of the command line have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from s3fd.cli.failure import fail


class FiniteCommand(TyperCommand):
    """A command whose options are finite numbers, also where Typer would accept ``nan`` and ``inf``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line as Typer does, and end if an option is no finite number."""
        rest = super().parse_args(ctx, args)
        for option in self.params:
            value = ctx.params.get(option.name)
            if isinstance(value, float) and not math.isfinite(value):
                fail(f"{option.opts[0]}: {value:g} is too large, or not a number")
        return rest


class _Application(typer.Typer):
    """A Typer application of `FiniteCommand`."""

    def command(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        """Register a command; the arguments are Typer's."""
        return super().command(*arguments, cls=FiniteCommand, **options)


def application(**options: Any) -> typer.Typer:
    """Make a Typer application whose help is Markdown, and so as wide as the terminal; errors stay Python's.

    ``-h`` asks for the help too, also of each command below it. Further `options` are Typer's.
    """
    return _Application(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )
