from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from s3fd.serving.problems import Problem
from s3fd.serving.workers import Workers


class Picture:
    """What takes memory."""

    def find(self) -> None:
        raise AssertionError("nobody waits for this")


async def given_up(workers: Workers) -> weakref.ref[Picture]:
    """Wait for a picture until the deadline."""
    picture = Picture()
    with pytest.raises(Problem, match="within"):
        await workers.run([picture.find], 0.05)
    return weakref.ref(picture)


async def left(workers: Workers) -> weakref.ref[Picture]:
    """Wait for a picture until its sender leaves."""
    picture = Picture()
    asked = asyncio.ensure_future(workers.run([picture.find], 30))
    while not workers.waiting:
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.wait([asked])
    assert asked.cancelled()
    return weakref.ref(picture)


@pytest.mark.parametrize("end", [given_up, left])
def test_what_nobody_waits_for_is_not_kept_until_a_thread_is_free(
    end: Callable[[Workers], Awaitable[weakref.ref[Picture]]],
) -> None:
    """Otherwise whoever sends large pictures and leaves could fill the memory, whatever the limits."""
    go = threading.Event()
    workers = Workers(1, 8)

    async def run() -> None:
        busy = asyncio.ensure_future(workers.run([go.wait], 30))
        while not workers.working:
            await asyncio.sleep(0.01)
        kept = await end(workers)
        await asyncio.sleep(0.01)  # asyncio cancels what a thread may have begun a moment later
        gc.collect()
        assert kept() is None
        assert workers.waiting == 0
        go.set()
        assert await busy == [True]

    try:
        asyncio.run(run())
    finally:
        go.set()
        workers.close()
