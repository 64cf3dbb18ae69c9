"""Worker threads with a bounded queue: those that find faces, and the one that queries the gallery.

A worker processes one picture from start to end, with one thread of the network. On a CPU that is the fastest
way: a batch takes longer than its pictures one by one (``benchmarks/throughput.py``). Pictures of concurrent
requests therefore share the queue, but share a pass of the network only on request (`s3fd.serving.passes`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from s3fd.serving.problems import busy, late

R = TypeVar("R")

FIRST_GUESS = 0.1
"""Initial estimate of the seconds that a picture takes, until some have been measured."""

WEIGHT = 0.1
"""Weight of the newest picture in the moving average of their times."""


class Workers:
    """Runs calls in a fixed number of threads, with a bounded queue; must be closed after use."""

    def __init__(self, workers: int, queue: int) -> None:
        """Create the pool; its threads start with the first calls."""
        self.workers = workers
        self.queue = queue
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="s3fd-serve")
        self._lock = Lock()
        self._pending = 0
        self._seconds = FIRST_GUESS

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a thread."""
        return max(0, self._pending - self.workers)

    @property
    def working(self) -> int:
        """Number of calls that a thread is working on."""
        return min(self._pending, self.workers)

    def check_room(self, count: int) -> None:
        """Raise a `Problem` with status 503 unless `count` more calls fit."""
        with self._lock:
            self._check_room(count)

    async def run(self, calls: Sequence[Callable[[], R]], seconds: float) -> list[R]:
        """Run calls that raise nothing but `Problem`, and return their results in order.

        If this raises or is cancelled, calls that no thread has started are not made.

        Raises:
            s3fd.serving.problems.Problem: with status 503 if there is no room for all calls, 504 if they take
                longer than `seconds`.
        """
        with self._lock:
            self._check_room(len(calls))
            self._pending += len(calls)
        end = time.monotonic() + seconds
        waited = [asyncio.wrap_future(self._submit(call, end)) for call in calls]
        try:
            done, rest = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            failures = [one.exception() for one in done]  # of all of them, or asyncio would log the others
            for failure in filter(None, failures):
                raise failure
            if rest:
                raise late(seconds)
            return [one.result() for one in waited]
        finally:
            for one in waited:
                one.cancel()

    def close(self) -> None:
        """Finish running calls, drop waiting ones and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, call: Callable[[], R], end: float) -> Future[R]:
        """Submit a call to the pool; it counts as pending until it is done or cancelled.

        A cancelled future stays in the pool's own queue until a thread comes to it. What the call holds, such
        as a picture, must not.
        """
        held = [call]
        future = self._pool.submit(self._call, held, end)
        future.add_done_callback(lambda done: self._done(held))
        return future

    def _call(self, held: list[Callable[[], R]], end: float) -> R:
        """Make a call in a worker thread and measure it; raises a `Problem` if its deadline has passed."""
        start = time.monotonic()
        if start >= end:
            raise late()
        try:
            return held[0]()
        finally:
            spent = time.monotonic() - start
            with self._lock:
                self._seconds += WEIGHT * (spent - self._seconds)

    def _done(self, held: list[Callable[[], R]]) -> None:
        held.clear()
        with self._lock:
            self._pending -= 1

    def _check_room(self, count: int) -> None:
        free = self.workers + self.queue - self._pending
        if count > free:
            seconds = math.ceil(self._pending * self._seconds / self.workers)
            raise busy(503, "All workers are busy and the queue is full.", max(1, seconds))
