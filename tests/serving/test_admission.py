"""What every request with pictures goes through, before it is read and while it is worked on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from s3fd.serving.admission import Service, admitted, unless_gone
from s3fd.serving.intake import Intake
from s3fd.serving.problems import Problem, busy
from s3fd.serving.settings import Limits

END = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Room:
    """Workers with room for a picture, or without."""

    def __init__(self, free: bool) -> None:
        self.free = free

    def check_room(self, count: int) -> None:
        if not (self.free and count == 1):
            raise busy(503, "no room")


def service(free: bool = True) -> Service:
    intake: Any = Intake(Limits(per_client=1))
    nothing: Any = None
    return Service(nothing, intake.limits, Room(free), intake, nothing, nothing)  # type: ignore[arg-type]


def request(*messages: dict[str, Any], client: tuple[str, int] | None = ("10.0.0.1", 5)) -> Request:
    """A request of which these messages arrive, and then no more."""
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in waiting:
            return message
        await asyncio.sleep(60)
        raise AssertionError("it was waited for")

    return Request({"type": "http", "method": "POST", "headers": [], "state": {}, "client": client}, receive)


def refused(service: Service, request: Request) -> Problem:
    async def run() -> None:
        async with admitted(service, request):
            raise AssertionError("it was let in")

    with pytest.raises(Problem) as problem:
        asyncio.run(run())
    return problem.value


@pytest.mark.parametrize("client", [("10.0.0.1", 5), None])
def test_a_request_counts_for_its_address_while_it_lasts(client: tuple[str, int] | None) -> None:
    lent = service()
    address = client[0] if client else ""

    async def run() -> None:
        async with admitted(lent, request(client=client)) as hold:
            hold.add(7)
            assert (lent.intake.bytes, lent.intake.requests) == (7, {address: 1})

    asyncio.run(run())
    assert (lent.intake.bytes, lent.intake.requests) == (0, {})


@pytest.mark.parametrize(("last", "closes"), [(END, False), (GONE, True)])
def test_without_room_a_request_is_refused_and_read_to_its_end(last: dict[str, Any], closes: bool) -> None:
    lent = service(free=False)
    sent = request({"type": "http.request", "body": b"x" * 1000, "more_body": True}, last)
    problem = refused(lent, sent)
    assert problem.status == 503
    assert (problem.headers.get("Connection") == "close") == closes  # its rest would be taken for another
    assert not lent.intake.requests


def test_one_request_too_many_is_refused() -> None:
    lent = service()
    with lent.intake.admit("10.0.0.1"):
        assert refused(lent, request(END)).status == 429
        assert lent.intake.requests == {"10.0.0.1": 1}


def test_work_whose_client_stays_is_finished() -> None:
    async def run() -> tuple[str, int]:
        async def work() -> str:
            await asyncio.sleep(0.01)
            return "done"

        answer = await unless_gone(request(), work())
        await asyncio.sleep(0)
        return answer, len(asyncio.all_tasks())

    assert asyncio.run(run()) == ("done", 1)  # nobody listens for the client any more


def test_work_whose_client_leaves_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    with pytest.raises(ClientDisconnect):
        asyncio.run(unless_gone(request(GONE), work()))
    assert ended == ["cancelled"]


def test_work_that_fails_says_so_itself() -> None:
    async def run() -> int:
        async def work() -> None:
            await asyncio.sleep(0)
            raise Problem(413, "too large")

        with pytest.raises(Problem, match="too large"):
            await unless_gone(request(), work())
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
