from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from s3fd.inference.threads import WAITING, Behind, ahead, in_order


def test_results_come_in_order_though_the_work_ends_out_of_order() -> None:
    def work(i: int) -> int:
        time.sleep(0.02 if i % 3 == 0 else 0)
        return i * i

    assert list(in_order(work, range(20), workers=4)) == [i * i for i in range(20)]
    assert list(in_order(work, [], workers=4)) == []


def test_all_workers_work_at_the_same_time_and_no_more() -> None:
    """Three calls meet, or the barrier breaks; a fourth among them would be counted."""
    together, lock = threading.Barrier(3, timeout=60), threading.Lock()
    running, most = 0, 0

    def work(i: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        return i

    assert list(in_order(work, range(9), workers=3)) == list(range(9))
    assert most <= 3


def test_few_items_are_taken_before_their_results_are() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(50):
            taken = i + 1
            yield i

    for given, _ in enumerate(in_order(lambda i: i, items(), workers=2)):
        assert taken - given <= WAITING * 2


def test_a_result_is_given_as_soon_as_it_is_there() -> None:
    """A camera's first record must not wait until its next frames fill all workers."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(100):
            taken = i + 1
            yield i
            time.sleep(0.05)

    assert next(in_order(lambda i: i, items(), workers=100)) == 0
    assert taken < 100


def test_an_error_comes_in_its_place_and_leaves_no_thread() -> None:
    before = threading.active_count()
    results = in_order(lambda i: 1 // (3 - i), range(100), workers=2)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


def test_a_loop_that_is_left_leaves_no_thread_and_starts_no_more_work() -> None:
    before, begun = threading.active_count(), []
    results = in_order(begun.append, range(100), workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(begun) <= 1 + WAITING * 2


@pytest.mark.filterwarnings("error")  # what a generator raises while it is collected is one
@pytest.mark.parametrize(
    "begin",
    [
        lambda work: in_order(work, range(100), workers=2),
        lambda work: ahead(map(work, range(100)), capacity=2),
    ],
)
def test_what_is_dropped_may_be_collected_in_one_of_its_threads(
    begin: Callable[[Callable[[int], int]], Iterator[int]],
) -> None:
    before = threading.active_count()
    held: list[Iterator[int]] = []
    drop, dropped = threading.Event(), threading.Event()

    def work(i: int) -> int:
        time.sleep(0.05)
        if i == 1:
            drop.wait(60)
            held.clear()
            dropped.set()
        return i

    held.append(begin(work))
    assert next(held[0]) == 0
    drop.set()
    assert dropped.wait(60)
    for _ in range(1000):
        if threading.active_count() == before:
            return
        time.sleep(0.01)
    pytest.fail("a thread is left")


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="worker"):
        in_order(abs, [1], workers=0)


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
