"""The thread that owns the gallery's store.

Stores need not be safe in several threads, and each may hold its vectors in memory. So one thread asks one
store, in the order of the requests. A search takes milliseconds; the workers have made the vectors before.

A store that is lost, such as by the restart of its server, is opened anew for the next question.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from s3fd.identity.recogniser import Recogniser
from s3fd.identity.store import GalleryError, GalleryUnavailable, Store
from s3fd.serving.problems import Problem, busy
from s3fd.serving.workers import Workers

R = TypeVar("R")

OPENING = 600.0
"""Seconds in which a gallery must have been opened and read for the first time."""

PAUSE = 1.0
"""Seconds after a store could not be opened in which nobody tries: what waits is refused at once, and not
one after another when each has waited for a server that is away."""

SILENCE = 5.0
"""Seconds that a question may take before the gallery counts as one that does not answer."""

log = logging.getLogger("s3fd.serving")


@dataclass(frozen=True)
class Gallery:
    """A gallery to be served.

    Attributes:
        open: opens its store, in the thread that will use it; bound to the recogniser's model.
        recogniser: used in several threads at a time.
        embeddings: whether the recogniser reads what the detector has to give its faces in the same pass.
        threshold: least score, for requests that give none; None for those it is calibrated to.
    """

    open: Callable[[], Store]
    recogniser: Recogniser
    embeddings: bool = False
    threshold: float | None = None


class Keeper:
    """Asks a store in a thread of its own; closed after use."""

    def __init__(self, gallery: Gallery, queue: int) -> None:
        """Prepare; the store is opened by the first question. At most `queue` questions wait."""
        self._open = gallery.open
        self._dimension = gallery.recogniser.model.dimension
        self._store: Store | None = None
        self._thread = Workers(1, queue)
        self._closed_until = 0.0
        self._asked: float | None = None
        self._wrong: str | None = None

    @property
    def waiting(self) -> int:
        """Questions that wait."""
        return self._thread.waiting

    @property
    def answers(self) -> bool:
        """Whether the last question was answered, and the present one has not taken too long."""
        asked = self._asked
        return self._wrong is None and (asked is None or time.monotonic() - asked < SILENCE)

    async def ask(self, question: Callable[[Store], R], seconds: float) -> R:
        """Put a question that raises nothing but `Problem` to the store, and return its answer.

        Raises:
            Problem: with status 503 if there is no room for it or the store fails, 504 after so many seconds.
                What has begun by then is done all the same, and the store changed.
        """
        (answer,) = await self._thread.run([lambda: self._ask(question)], seconds)
        return answer

    async def check(self) -> None:
        """Raise a `Problem` with status 503 if the gallery cannot be reached, or is silent for too long."""
        try:
            if not self._thread.working:
                await self.ask(lambda store: None, SILENCE)
            elif not self.answers:
                raise _away()
        except Problem as problem:
            raise _away() from problem

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
        self._asked = time.monotonic()
        try:
            answer = question(self._opened())
        except Problem:
            self._found()
            raise
        except Exception as error:  # whatever the store's own library raises: a lock, a lost connection
            self._lose(error)
            raise _away() from error
        finally:
            self._asked = None
        self._found()
        return answer

    def _opened(self) -> Store:
        """The store, opened anew if it is lost."""
        if self._store is not None:
            try:
                self._store.check()
            except Exception as error:
                log.warning("the gallery is opened anew: %s", error)
                self._drop_whatever_comes()
        if self._store is None:
            if time.monotonic() < self._closed_until:
                raise GalleryUnavailable(self._wrong)
            try:
                self._store = self._open()
            except Exception:
                self._closed_until = time.monotonic() + PAUSE
                raise
        return self._store

    def _lose(self, error: Exception) -> None:
        """Note that the store fails, and say so once."""
        if not isinstance(error, (OSError, GalleryError)):
            log.error("the gallery failed", exc_info=error)
        elif str(error) != self._wrong:
            log.error("the gallery cannot be used: %s", error)
        self._wrong = str(error)
        self._drop_whatever_comes()

    def _found(self) -> None:
        """Note that the store answers, and say so if it had failed."""
        if self._wrong is not None:
            log.warning("the gallery can be used again")
        self._wrong = None

    def _drop_whatever_comes(self) -> None:
        with suppress(Exception):
            self._drop()

    def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _away() -> Problem:
    """What is said while the store cannot be asked: nothing of why, which is for the log."""
    return busy(503, "The gallery cannot be used now.")
