"""Want of memory in an engine, as Python's own error, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

SIGNS = ("Failed to allocate memory", "out of memory", "can't allocate memory", "bad_alloc", "bad allocation")
"""What ONNX Runtime, CUDA, PyTorch and C++ say in errors that have no type of their own."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Around an engine's work: raise MemoryError if it says that it got too little memory."""
    try:
        yield
    except Exception as error:
        if not any(sign in str(error) for sign in SIGNS):
            raise
        raise MemoryError("not enough memory for a picture of this size") from error


def together_or_alone(
    work: Callable[[Sequence[T]], list[R]], items: Sequence[T], refuse: Callable[[T, str], R]
) -> list[R]:
    """Return the results of `work` on all items at once, or on each alone if they take too much memory.

    If even one alone takes too much, its result is what `refuse` makes of it and of the reason.
    """
    try:
        return work(items)
    except MemoryError as error:
        if len(items) == 1:
            return [refuse(items[0], str(error) or "not enough memory")]
        return [result for item in items for result in together_or_alone(work, [item], refuse)]
