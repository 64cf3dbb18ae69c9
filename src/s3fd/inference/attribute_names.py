"""Names of attributes as users give them, several in one text."""

from __future__ import annotations

from collections.abc import Sequence


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in texts such as ``a,b`` and ``c``, without duplicates, in order; skip empty texts."""
    return tuple(dict.fromkeys(name.strip() for text in given if text for name in text.split(",")))
