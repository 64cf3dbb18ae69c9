"""The thread that owns the gallery's store.

Stores need not be thread-safe, and each may hold its vectors in memory. Therefore one thread queries one
store, in the order of the requests. A search takes milliseconds: the workers have already computed the
vectors.

A store that is lost, for example because its server restarted, is reopened for the next question.
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
"""Maximum seconds for opening a gallery and reading it for the first time."""

PAUSE = 1.0
"""Seconds after a failed attempt to open the store during which there is no other attempt. Waiting questions
are then refused at once, instead of each waiting in turn for a server that is away."""

SILENCE = 5.0
"""Seconds that a question may take before the gallery counts as not responding."""

log = logging.getLogger("s3fd.serving")


@dataclass(frozen=True)
class Gallery:
    """A gallery to serve.

    Attributes:
        open: opens the gallery's store, in the thread that will use it; bound to the recogniser's model.
        recogniser: embeds faces; used in several threads at a time.
        embeddings: whether the recogniser reads embeddings that the detector must compute in the same pass.
        threshold: minimum score for requests that give none; None for the calibrated thresholds.
    """

    open: Callable[[], Store]
    recogniser: Recogniser
    embeddings: bool = False
    threshold: float | None = None


class Keeper:
    """Queries a store in a thread of its own; must be closed after use."""

    def __init__(self, gallery: Gallery, queue: int) -> None:
        """Prepare for at most `queue` waiting questions; the first question opens the store."""
        self._open = gallery.open
        self._dimension = gallery.recogniser.model.dimension
        self._store: Store | None = None
        self._thread = Workers(1, queue)
        self._closed_until = 0.0
        self._asked: float | None = None
        self._wrong: str | None = None

    @property
    def waiting(self) -> int:
        """Number of waiting questions."""
        return self._thread.waiting

    @property
    def answers(self) -> bool:
        """Whether the last question was answered, and the current one has not taken too long."""
        asked = self._asked
        return self._wrong is None and (asked is None or time.monotonic() - asked < SILENCE)

    async def ask(self, question: Callable[[Store], R], seconds: float, change: bool = False) -> R:
        """Ask the store a question, and return the answer; `change` says that it changes the store.

        The question may raise a `Problem`. Any other exception counts as a failure of the store.

        Raises:
            Problem: with status 503 if there is no room for the question or the store fails, 504 if it takes
                longer than `seconds`. A question that has started is completed even then, and may change the
                store. If a change has started and fails, no retry is suggested.
        """
        (answer,) = await self._thread.run([lambda: self._ask(question, change)], seconds)
        return answer

    async def check(self) -> None:
        """Raise a `Problem` with status 503 if the gallery cannot be reached, or does not respond in time."""
        try:
            if not self._thread.working:
                await self.ask(lambda store: None, SILENCE)
            elif not self.answers:
                raise _away()
        except Problem as problem:
            raise _away() from problem

    async def begin(self) -> None:
        """Open the store and read it, so that the first search is as fast as later ones."""
        blank = np.zeros(self._dimension, np.float32)
        await self.ask(lambda store: store.search(blank), OPENING)

    async def close(self, seconds: float) -> None:
        """Close the store, and end the thread once it has finished what it has started."""
        with suppress(Problem):
            await self._thread.run([self._drop], seconds)
        self._thread.close()

    def _ask(self, question: Callable[[Store], R], change: bool) -> R:
        """Ask a question in this thread; a store that fails is closed, and reopened for the next question."""
        self._asked = time.monotonic()
        begun = False
        try:
            store = self._opened()
            begun = True
            answer = question(store)
        except Problem:
            self._found()
            raise
        except Exception as error:  # whatever the store's own library raises: a lock, a lost connection
            self._lose(error)
            raise (_unsure() if begun and change else _away()) from error
        finally:
            self._asked = None
        self._found()
        return answer

    def _opened(self) -> Store:
        """Return the store; reopen it if it is lost."""
        if self._store is not None:
            try:
                self._store.check()
            except Exception as error:
                log.warning("reopening the gallery: %s", error)
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
        """Record that the store fails, and log it; an expected error that repeats is logged once."""
        if not isinstance(error, (OSError, GalleryError)):
            log.error("the gallery failed", exc_info=error)
        elif str(error) != self._wrong:
            log.error("the gallery is unavailable: %s", error)
        self._wrong = str(error)
        self._drop_whatever_comes()

    def _found(self) -> None:
        """Record that the store answers, and log it if the store had failed."""
        if self._wrong is not None:
            log.warning("the gallery is available again")
        self._wrong = None

    def _drop_whatever_comes(self) -> None:
        with suppress(Exception):
            self._drop()

    def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _away() -> Problem:
    """Return the refusal while the store cannot be used; the reason is only in the log."""
    return busy(503, "The gallery is unavailable; try again later.")


def _unsure() -> Problem:
    """Return the refusal after a change began and failed; it suggests no retry, which might repeat it."""
    return Problem(503, "The gallery failed during this change, which may or may not have taken effect.")
