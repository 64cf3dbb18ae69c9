"""The thread before a store that is lost, comes back, or is silent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from s3fd.identity.recogniser import Model
from s3fd.identity.store import GalleryUnavailable
from s3fd.serving import keeper
from s3fd.serving.keeper import Gallery, Keeper
from s3fd.serving.problems import Problem

SECONDS = 10.0


class Recogniser:
    model = Model("test", "0" * 64, 8)

    def embed(self, picture: Any, faces: Any) -> Any:
        return np.zeros((0, 8), np.float32)


class Place:
    """Where a store may be: it is opened, checked and asked as long as it is there."""

    def __init__(self) -> None:
        self.there = True
        self.tried = self.opened = self.closed = 0
        self.go = threading.Event()
        self.go.set()

    def open(self) -> Any:
        self.tried += 1
        self.check()
        self.opened += 1
        return self

    def check(self) -> None:
        if not self.there:
            raise GalleryUnavailable("PostgreSQL: server h is away")

    def close(self) -> None:
        self.closed += 1

    def answer(self) -> int:
        assert self.go.wait(SECONDS)
        self.check()
        return 42


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def asked(place: Place) -> Iterator[Keeper]:
    with_threads = Keeper(Gallery(place.open, Recogniser()), 8)
    yield with_threads
    place.go.set()
    asyncio.run(with_threads.close(SECONDS))
    assert place.closed == place.opened


def ask(asked: Keeper) -> Any:
    return asyncio.run(asked.ask(lambda store: store.answer(), SECONDS))  # type: ignore[attr-defined]


def refused(asked: Keeper) -> None:
    with pytest.raises(Problem, match=r"^The gallery is unavailable; try again later\.$") as problem:
        ask(asked)
    assert (problem.value.status, problem.value.headers) == (503, {"Retry-After": "1"})


def test_a_store_that_went_and_came_between_two_questions_costs_none(place: Place, asked: Keeper) -> None:
    assert ask(asked) == 42
    lost = iter([True])

    def check() -> None:
        if next(lost, False):
            raise GalleryUnavailable("PostgreSQL: terminating connection")

    place.check = check  # type: ignore[method-assign]
    assert ask(asked) == 42
    assert (place.opened, place.closed) == (2, 1)


def test_while_a_store_is_away_questions_are_refused_at_once(
    place: Place, asked: Keeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(asked) == 42 and asked.answers
    place.there = False
    for _ in range(5):
        refused(asked)
        assert not asked.answers
    assert place.tried == 2  # once at the beginning, and once within the pause
    with pytest.raises(Problem):
        asyncio.run(asked.check())
    assert [record.getMessage() for record in caplog.records] == [
        "reopening the gallery: PostgreSQL: server h is away",
        "the gallery is unavailable: PostgreSQL: server h is away",
    ]
    place.there = True
    refused(asked)  # still within the pause
    monkeypatch.setattr(keeper, "PAUSE", 0)
    asked._closed_until = 0
    asyncio.run(asked.check())
    assert ask(asked) == 42 and asked.answers
    assert caplog.records[-1].getMessage() == "the gallery is available again"


def test_a_store_that_is_busy_is_there_and_one_that_is_silent_is_not(
    place: Place, asked: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        place.go.clear()
        question = asyncio.ensure_future(asked.ask(lambda store: store.answer(), SECONDS))  # type: ignore[attr-defined]
        while not place.opened:
            await asyncio.sleep(0.01)
        await asked.check()
        monkeypatch.setattr(keeper, "SILENCE", 0)
        with pytest.raises(Problem, match="gallery is unavailable") as silent:
            await asked.check()
        assert silent.value.status == 503
        monkeypatch.undo()
        place.go.set()
        assert await question == 42
        await asked.check()

    asyncio.run(scene())


def test_what_a_question_refuses_is_an_answer(asked: Keeper) -> None:
    def question(store: Any) -> None:
        raise Problem(404, "Nobody.")

    with pytest.raises(Problem, match="Nobody"):
        asyncio.run(asked.ask(question, SECONDS))
    assert asked.answers


def test_no_retry_is_suggested_for_a_change_that_began(place: Place, asked: Keeper) -> None:
    def change(store: Any) -> None:
        raise GalleryUnavailable("PostgreSQL: server h is away")

    with pytest.raises(Problem, match="may or may not have taken effect") as begun:
        asyncio.run(asked.ask(change, SECONDS, change=True))
    assert (begun.value.status, begun.value.headers) == (503, {})
    place.there = False
    asked._closed_until = 0
    with pytest.raises(Problem, match="unavailable") as not_begun:
        asyncio.run(asked.ask(change, SECONDS, change=True))
    assert not_begun.value.headers == {"Retry-After": "1"}
