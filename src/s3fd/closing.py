"""Base class of resources that a ``with`` block closes."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

T = TypeVar("T", bound="Closing")


class Closing:
    """A resource that holds a file or a connection; use it in a ``with`` block, or call `close`."""

    def __enter__(self: T) -> T:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the resource."""
        self.close()

    def close(self) -> None:
        """Release the file or connection."""
        raise NotImplementedError
