"""What is held of all requests at a time: their bytes, and how many each client has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from s3fd.serving.problems import busy
from s3fd.serving.settings import Limits


class Hold:
    """The bytes that one request holds."""

    def __init__(self, intake: Intake) -> None:
        """Hold nothing yet."""
        self._intake = intake
        self.bytes = 0

    def add(self, count: int) -> None:
        """Hold more; raises a `Problem` with status 503 if all requests together then hold too much."""
        if self._intake.bytes + count > self._intake.limits.held:
            raise busy(503, "Too many bytes of other requests are being worked on.")
        self.bytes += count
        self._intake.bytes += count


class Intake:
    """Counts requests and their bytes; used from the event loop alone."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nothing."""
        self.limits = limits
        self.bytes = 0
        self.requests: Counter[str] = Counter()

    @contextmanager
    def admit(self, client: str) -> Iterator[Hold]:
        """Count a request of `client` in the block; raises a `Problem` with status 429 if it has too many."""
        most = self.limits.per_client
        if most is not None and self.requests[client] >= most:
            raise busy(429, f"{most} requests of yours are being worked on already.")
        self.requests[client] += 1
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.bytes -= hold.bytes
            self.requests[client] -= 1
            if not self.requests[client]:
                del self.requests[client]  # or every address that ever came would stay
