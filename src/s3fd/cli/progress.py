"""What a user sees of a run on standard error."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.status import Status

from s3fd.inference.records import Record


class Progress:
    """Counts pictures, faces and failures, names each failure, and shows a line of counts on a terminal."""

    def __init__(self, shown: bool, runtime: str, counted: str = "pictures") -> None:
        """Prepare; the line of counts, and what the network runs in and on, appears only if `shown`."""
        self._console = Console(stderr=True, soft_wrap=True)
        self._status = Status("Starting", console=self._console) if shown else None
        self._runtime = runtime
        self._counted = counted
        self.pictures = 0
        self.faces = 0
        self.failed = 0

    def __enter__(self) -> Progress:
        """Show the line."""
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away and leave its last state."""
        if self._status is not None:
            self._status.stop()
            self._console.print(self._counts(), highlight=False)

    def advance(self, record: Record) -> None:
        """Count a record, and say what went wrong with it."""
        self.pictures += 1
        self.faces += record.found
        if record.error is not None:
            self.failed += 1
            path = record.path.encode("utf-8", "backslashreplace").decode("utf-8")
            self._console.print(f"s3fd: {path}: {record.error}", markup=False, highlight=False)
        if self._status is not None:
            self._status.update(self._counts())

    def _counts(self) -> str:
        """Say how far the run is."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.pictures} {self._counted}, {self.faces} faces{failed} ({self._runtime})"
