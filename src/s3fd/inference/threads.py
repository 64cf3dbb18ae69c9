"""Work beside the main thread: what is to come is made ahead, what is done is finished behind.

Decoders, networks and encoders run outside Python's lock, so that threads are enough to overlap them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], capacity: int = 1) -> Generator[T, None, None]:
    """Iterate over `items`, making up to `capacity` more in a thread while the present one is in use.

    What making an item raises is raised here when its turn comes.
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as pool:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(capacity))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]


class Behind:
    """Does tasks one after another in a thread, with up to `capacity` waiting; used in a ``with`` block.

    What a task raises is raised by a later `submit`, or at the end of the block.
    """

    def __init__(self, capacity: int) -> None:
        """Prepare; the thread starts with the first task."""
        self._capacity = capacity
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="behind")
        self._waiting: deque[Future[object]] = deque()

    def submit(self, task: Callable[..., object], *arguments: Any) -> None:
        """Let a task be done; wait while too many others are."""
        self._waiting.append(self._pool.submit(task, *arguments))
        while len(self._waiting) > self._capacity:
            self._waiting.popleft().result()

    def __enter__(self) -> Behind:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what waits, after Ctrl-C too; after an error, drop it."""
        try:
            while self._waiting and (kind is None or not issubclass(kind, Exception)):
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
