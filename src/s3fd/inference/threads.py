"""Work in threads that stays in order and bounded: nothing piles up, and no thread outlives its use.

Decoders, networks and encoders run outside Python's lock, so that threads are enough to use all processors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING = 2
"""Items taken for each worker: the one it works on, and one to go on with when an older one takes long."""


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Apply `function` to `items` in so many threads; the results come in the order of the items.

    At most `workers` calls run at a time, and at most `WAITING` times as many items are taken before the
    result of the oldest is. `items` itself is iterated in the caller's thread.

    Raises:
        Exception: what `function` raises, in the place of its result; the rest is not computed then.
        ValueError: no workers.
    """
    if workers < 1:
        raise ValueError(f"there must be a worker, not {workers}")
    return _in_order(function, items, workers)


def _in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Do as `in_order` says, lazily."""
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="worker")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            while waiting and (len(waiting) >= WAITING * workers or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Iterate over `items`, making the next one in a thread while the present one is in use."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]
