"""The message for a missing package of an extra."""

from __future__ import annotations


def how_to_install(error: ModuleNotFoundError, need: str, extra: str) -> str:
    """One line that names the missing package and how to install it; `need` is text like ``videos need``."""
    return f"{error.name} is not installed; {need} it: pip install 's3fd[{extra}]'"


def missing(error: ModuleNotFoundError, need: str, extra: str) -> ModuleNotFoundError:
    """`error` with that line as its message."""
    return ModuleNotFoundError(how_to_install(error, need, extra), name=error.name)
