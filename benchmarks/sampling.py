"""Choose a part of a data set, the same part every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def evenly(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` of the items, evenly spaced."""
    count = min(limit, len(items))
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]
