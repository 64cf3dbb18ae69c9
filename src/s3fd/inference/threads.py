"""Ordered and bounded work in threads: nothing piles up, and no thread outlives its use.

Decoders, networks and encoders release Python's global lock, so threads are enough to use all processors.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING = 2
"""Items taken per worker: the one in progress, and one to continue with while an older one takes long."""


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Apply `function` to `items` in `workers` threads; the results come in the order of the items.

    At most `workers` calls run at a time, and at most `WAITING` times `workers` items are taken before the
    result of the oldest one is consumed. `items` itself is iterated in the caller's thread.

    Raises:
        Exception: what `function` raises, in place of its result; the remaining results are not computed.
        ValueError: `workers` under 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    return _in_order(function, items, workers)


def _in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Implement `in_order` as a generator."""
    waiting: deque[Future[R]] = deque()
    with _threads(workers, "worker") as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            while waiting and (len(waiting) >= WAITING * workers or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def ahead(items: Iterable[T], capacity: int = 1) -> Generator[T, None, None]:
    """Iterate over `items`, preparing up to `capacity` more in a thread while the current one is in use.

    An exception raised while an item is prepared is raised here when the item's turn comes.
    """
    iterator = iter(items)
    end = object()
    with _threads(1, "ahead") as pool:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(capacity))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]


@contextmanager
def _threads(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool whose threads have ended when the block does.

    A generator that is dropped midway is finalised in whichever thread collects it. That may be one of the
    pool's own threads, which cannot wait for itself: then the threads end after their current tasks.
    """
    local = threading.local()
    pool = ThreadPoolExecutor(count, name, initializer=setattr, initargs=(local, "ours", True))
    try:
        yield pool
    finally:
        pool.shutdown(wait=not hasattr(local, "ours"), cancel_futures=True)


class Behind:
    """Runs tasks one after another in a thread, with up to `capacity` waiting; use it in a ``with`` block.

    An exception raised by a task is raised again by a later `submit`, or at the end of the block.
    """

    def __init__(self, capacity: int) -> None:
        """Prepare; the thread starts with the first task."""
        self._capacity = capacity
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="behind")
        self._waiting: deque[Future[object]] = deque()

    def submit(self, task: Callable[..., object], *arguments: Any) -> None:
        """Queue a task; block while more than `capacity` tasks are unfinished."""
        self._waiting.append(self._pool.submit(task, *arguments))
        while len(self._waiting) > self._capacity:
            self._waiting.popleft().result()

    def __enter__(self) -> Behind:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the waiting tasks, even after Ctrl-C; after an error, drop them."""
        try:
            while self._waiting and (kind is None or not issubclass(kind, Exception)):
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
