"""Want of memory in an engine, as Python's own error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
