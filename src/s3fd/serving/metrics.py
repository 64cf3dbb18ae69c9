"""Metrics of the service, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds of the histogram's buckets."""


class Metrics:
    """Metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        """Create the metrics; all start at 0."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "s3fd_requests",
            "Requests, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "s3fd_request_seconds",
            "Seconds from a request's headers to its response.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.pictures = Counter(
            "s3fd_pictures", "Pictures, by the status of each.", ["status"], registry=self.registry
        )
        self.faces = Counter("s3fd_faces", "Faces found.", registry=self.registry)
        self.identified = Counter(
            "s3fd_identified", "Faces looked up in the gallery.", ["known"], registry=self.registry
        )
        self.enrolled = Counter(
            "s3fd_enrolled", "Vectors added to the gallery by requests.", registry=self.registry
        )
        self.removed = Counter(
            "s3fd_removed", "Vectors deleted from the gallery by requests.", registry=self.registry
        )

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Add a gauge that calls `value` whenever the metrics are read."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)
