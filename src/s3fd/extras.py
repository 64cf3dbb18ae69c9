"""What is said where a package of an extra is missing."""

from __future__ import annotations


def how_to_install(error: ModuleNotFoundError, need: str, extra: str) -> str:
    """The line that names what is missing and installs it; `need` is such as ``videos need``."""
    return f"{error.name} is not installed; {need}  pip install 's3fd[{extra}]'"
