"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Say how many there are of something, such as ``1 face`` or ``2 faces``; `many` is `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
