"""What the errors of files have in common."""

from __future__ import annotations


class UnusableError(ValueError):
    """Something is wrong with a file, or with what else pictures come from; the message is one line.

    Attributes:
        name: the file, or what else it is known by.
        reason: what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        """Say what is wrong with `name`."""
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnusableError], tuple[str, str]]:
        """Let another process raise it: an exception is copied by its message alone otherwise."""
        return type(self), (self.name, self.reason)
