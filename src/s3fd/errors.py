"""Base class of errors about unusable files."""

from __future__ import annotations


class UnusableError(ValueError):
    """A file, or another source of pictures, cannot be used; the message is one line.

    Attributes:
        name: the file, or another name for the source.
        reason: what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        """Compose the message from `name` and `reason`."""
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnusableError], tuple[str, str]]:
        """Pickle both arguments for other processes: by default, an exception is rebuilt from its message."""
        return type(self), (self.name, self.reason)
