"""What a user sees of a run on standard error."""

from __future__ import annotations

import sys
import unicodedata
from types import TracebackType

from s3fd.counted import counted
from s3fd.inference.records import Record


class _Line:
    """A line that changes in place. Rich draws it, which a run that shows none need not import."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self.console = Console(stderr=True, soft_wrap=True, emoji=False)  # a file may be named like one
        spinner = "dots" if self.console.encoding.startswith("utf") else "line"
        self.status = Status("Starting", console=self.console, spinner=spinner)


class Progress:
    """Counts pictures, faces and failures, names each failure, and shows a line of counts on a terminal."""

    def __init__(self, shown: bool, runtime: str, kind: str = "picture") -> None:
        """Prepare to count things of a `kind`; the line of counts appears only if `shown`.

        It also says what the network runs in and on, the `runtime`.
        """
        self._line = _Line() if shown else None
        self._runtime = runtime
        self._kind = kind
        self.pictures = 0
        self.faces = 0
        self.failed = 0

    def __enter__(self) -> Progress:
        """Show the line."""
        if self._line is not None:
            self._line.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away and leave its last state."""
        if self._line is not None:
            self._line.status.stop()
            self._say(self._counts())

    def advance(self, record: Record) -> None:
        """Count a record, and say what went wrong with it."""
        if record.error is not None:
            self._say(_printable(f"s3fd: {record.path}: {record.error}"))
        self.add(1, record.found, int(record.error is not None))

    def add(self, pictures: int, faces: int, failed: int) -> None:
        """Count some pictures, their faces, and how many of them could not be read."""
        self.pictures += pictures
        self.faces += faces
        self.failed += failed
        if self._line is not None:
            self._line.status.update(self._counts())

    def _say(self, text: str) -> None:
        """Write a line above that of counts."""
        if self._line is not None:
            self._line.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr)

    def _counts(self) -> str:
        """Say how far the run is."""
        failed = f", {self.failed} failed" if self.failed else ""
        seen = f"{counted(self.pictures, self._kind)}, {counted(self.faces, 'face')}"
        return f"{seen}{failed} ({self._runtime})"


def _printable(text: str) -> str:
    """Escape what a file name may hold and a message may not: line ends, terminal commands, invalid text."""
    unusual = {c for c in text if unicodedata.category(c) in ("Cc", "Cs")}
    return text.translate({ord(c): c.encode("unicode_escape").decode() for c in unusual})
