from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3fd.inference.threads import Behind, ahead


def test_ahead_keeps_the_order_and_is_one_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(5):
            made.append(i)
            yield i

    seen = []
    for item in ahead(items()):
        assert len(made) <= item + 2
        seen.append(item)
    assert seen == [0, 1, 2, 3, 4]
    assert list(ahead([])) == []
    assert list(ahead([None, 0])) == [None, 0]


def test_ahead_passes_on_errors_and_leaves_no_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    before = threading.active_count()
    iterator = ahead(items())
    assert next(iterator) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(iterator)
    unfinished = ahead(iter(range(100)))
    next(unfinished)
    unfinished.close()
    assert threading.active_count() == before


def test_ahead_makes_no_more_than_its_capacity() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    for item in ahead(items(), capacity=3):
        time.sleep(0.001)
        assert len(made) <= item + 4
    assert len(made) == 50


def test_behind_does_tasks_in_order_and_waits_when_full() -> None:
    done: list[int] = []
    most = 0

    def task(number: int) -> None:
        time.sleep(0.002)
        done.append(number)

    with Behind(capacity=2) as behind:
        for number in range(20):
            behind.submit(task, number)
            most = max(most, number + 1 - len(done))
    assert done == list(range(20))
    assert most <= 3


def test_behind_raises_what_a_task_raised() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Behind(capacity=5) as behind:
        behind.submit(lambda: 1 / 0)
    assert threading.active_count() == before


@pytest.mark.parametrize(("error", "finished"), [(RuntimeError, False), (KeyboardInterrupt, True)])
def test_behind_finishes_after_the_user_but_not_after_an_error(
    error: type[BaseException], finished: bool
) -> None:
    started, go, done = threading.Event(), threading.Event(), []

    def first() -> None:
        started.set()
        go.wait(10)

    with pytest.raises(error), Behind(capacity=5) as behind:
        behind.submit(first)
        behind.submit(done.append, 1)
        assert started.wait(10)
        threading.Timer(0.05, go.set).start()
        raise error
    assert bool(done) == finished
