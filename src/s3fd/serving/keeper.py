"""The thread that owns the gallery's store.

Stores need not be safe in several threads, and each may hold its vectors in memory. So one thread asks one
store, in the order of the requests. A search takes milliseconds; the workers have made the vectors before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from s3fd.identity.recogniser import Recogniser
from s3fd.identity.store import Store
from s3fd.serving.problems import Problem, busy
from s3fd.serving.workers import Workers

R = TypeVar("R")

OPENING = 600.0
"""Seconds in which a gallery must have been opened and read for the first time."""

log = logging.getLogger("s3fd.serving")


@dataclass(frozen=True)
class Gallery:
    """A gallery to be served.

    Attributes:
        open: opens its store, in the thread that will use it; bound to the recogniser's model.
        recogniser: used in several threads at a time.
        threshold: least score, for requests that give none; None for those it is calibrated to.
    """

    open: Callable[[], Store]
    recogniser: Recogniser
    threshold: float | None = None


class Keeper:
    """Asks a store in a thread of its own; closed after use."""

    def __init__(self, gallery: Gallery, queue: int) -> None:
        """Prepare; the store is opened by the first question. At most `queue` questions wait."""
        self._open = gallery.open
        self._dimension = gallery.recogniser.model.dimension
        self._store: Store | None = None
        self._thread = Workers(1, queue)

    @property
    def waiting(self) -> int:
        """Questions that wait."""
        return self._thread.waiting

    async def ask(self, question: Callable[[Store], R], seconds: float) -> R:
        """Put a question that raises nothing but `Problem` to the store, and return its answer.

        Raises:
            Problem: with status 503 if there is no room for it or the store fails, 504 after so many seconds.
                What has begun by then is done all the same, and the store changed.
        """
        (answer,) = await self._thread.run([lambda: self._ask(question)], seconds)
        return answer

    async def begin(self) -> None:
        """Open the store and read it, so that the first search is no slower than the next."""
        blank = np.zeros(self._dimension, np.float32)
        await self.ask(lambda store: store.search(blank), OPENING)

    async def close(self, seconds: float) -> None:
        """Close the store, and end the thread once it has done what it had begun."""
        with suppress(Problem):
            await self._thread.run([self._drop], seconds)
        self._thread.close()

    def _ask(self, question: Callable[[Store], R]) -> R:
        """Put a question from this thread. A store that fails is closed, and opened anew for the next one."""
        try:
            if self._store is None:
                self._store = self._open()
            return question(self._store)
        except Problem:
            raise
        except Exception as error:  # whatever the store's own library raises: a lock, a lost connection
            log.exception("the gallery failed")
            with suppress(Exception):
                self._drop()
            raise busy(503, "The gallery cannot be used now.") from error

    def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()
