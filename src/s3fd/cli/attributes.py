"""The names that ``--attributes`` gives, of every command that has it."""

from __future__ import annotations

from collections.abc import Sequence


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in ``--attributes a,b --attributes c``, each once, in order."""
    names = (name.strip() for text in given for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
