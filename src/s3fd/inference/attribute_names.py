"""The names of attributes as users give them in one text."""

from __future__ import annotations

from collections.abc import Sequence


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in texts such as ``a,b`` and ``c``, each once, in order; an empty text has none."""
    return tuple(dict.fromkeys(name.strip() for text in given if text for name in text.split(",")))
