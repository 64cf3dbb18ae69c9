"""Counts across all current requests: the bytes that they hold, and the number of requests per client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from s3fd.counted import counted
from s3fd.serving.problems import busy
from s3fd.serving.settings import Limits


class Hold:
    """The bytes that one request holds."""

    def __init__(self, intake: Intake) -> None:
        """Start with no bytes."""
        self._intake = intake
        self.bytes = 0

    def add(self, count: int) -> None:
        """Add `count` bytes; raises a `Problem` with status 503 if all requests would then hold too many."""
        if self._intake.bytes + count > self._intake.limits.held:
            raise busy(503, "Too much data of other requests is being processed; try again later.")
        self.bytes += count
        self._intake.bytes += count


class Intake:
    """Counts requests and their bytes; used only from the event loop."""

    def __init__(self, limits: Limits) -> None:
        """Start with no requests."""
        self.limits = limits
        self.bytes = 0
        self.requests: Counter[str] = Counter()

    @contextmanager
    def admit(self, client: str) -> Iterator[Hold]:
        """Count a request of `client` in the block; raises a `Problem` with status 429 if it has too many."""
        most = self.limits.per_client
        if most is not None and self.requests[client] >= most:
            limit = f"The limit of {counted(most, 'request')} at a time from your address is reached"
            raise busy(429, f"{limit}; wait for one to finish.")
        self.requests[client] += 1
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.bytes -= hold.bytes
            self.requests[client] -= 1
            if not self.requests[client]:
                del self.requests[client]  # otherwise, every address ever seen would stay
