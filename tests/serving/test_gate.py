"""What applies to every request, around an application of a few lines."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from s3fd.serving.gate import Gate
from s3fd.serving.metrics import Metrics

KEY = "a-key-of-sixteen-characters"


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["told"] |= {"faces": 3}
    await PlainTextResponse("fine")(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret")


async def broken_later(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("a secret")


async def left_alone(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


def cached(value: str) -> ASGIApp:
    """An application with a Cache-Control of its own."""
    return PlainTextResponse("fine", headers={"Cache-Control": value})


def ask(
    path: str = "/v1/detect",
    *,
    app: ASGIApp = fine,
    key: str | None = None,
    local: bool = True,
    metrics: Metrics | None = None,
    raises: bool = True,
    **headers: str,
) -> httpx.Response:
    """Send a request through the gate; `_` in the name of a header stands for a hyphen."""
    gate = Gate(app, key=key, local=local, metrics=metrics or Metrics())

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(gate, raise_app_exceptions=raises)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.get(path, headers=named)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("path", "site", "status"),
    [
        ("/v1/detect", "cross-site", 403),
        ("/page/app.js", "cross-site", 403),
        ("/v1/detect", "same-origin", 200),
        ("/v1/detect", "none", 200),  # typed into the address bar
        ("/", "cross-site", 200),  # a link on another site may lead to the page
    ],
)
def test_pages_of_other_sites_send_nothing_but_visitors(path: str, site: str, status: int) -> None:
    assert ask(path, sec_fetch_site=site).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("http://localhost:8001", 403),
        ("http://elsewhere.example", 403),
        ("null", 403),
    ],
)
def test_only_the_page_of_this_address_is_an_origin(origin: str, status: int) -> None:
    assert ask(origin=origin).status_code == ask("/", origin=origin).status_code == status


@pytest.mark.parametrize("host", ["localhost", "LocalHost:80", "127.0.0.1:8000", "[::1]:8000"])
def test_every_name_of_this_machine_is_answered(host: str) -> None:
    assert ask(host=host).status_code == 200


def test_a_key_replaces_the_name_of_this_machine_and_not_the_origin() -> None:
    named = {"host": "faces.example", "authorization": f"Bearer {KEY}"}
    assert ask(host="faces.example").status_code == 421
    assert ask(local=False, host="faces.example").status_code == 200
    assert ask(key=KEY, **named).status_code == 200
    assert ask(key=KEY, origin="http://elsewhere.example", **named).status_code == 403
    assert ask("/page/app.js", key=KEY, host="faces.example").status_code == 200
    assert ask("/pages", key=KEY, host="faces.example").status_code == 401


def test_no_answer_is_stored_unless_it_says_so_itself() -> None:
    assert ask().headers["Cache-Control"] == "no-store"
    assert ask(app=cached("no-cache")).headers.get_list("Cache-Control") == ["no-cache"]
    refused = ask(origin="null")
    assert refused.headers["Cache-Control"] == "no-store" and "X-Request-Id" in refused.headers


def test_who_waits_to_send_a_refused_body_is_told_to_leave() -> None:
    assert ask(origin="null", expect="100-continue").headers["Connection"] == "close"
    assert "Connection" not in ask(origin="null").headers


def test_what_nobody_expected_is_answered_raised_and_counted() -> None:
    metrics = Metrics()
    answer = ask(app=broken, metrics=metrics, raises=False)
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert "secret" not in answer.text
    with pytest.raises(RuntimeError, match="secret"):
        ask(app=broken, metrics=metrics)
    assert b's3fd_requests_total{method="GET",route="other",status="500"} 2.0' in metrics.text()


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError

    headers = [(b"host", b"localhost")]
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    gate = Gate(broken_later, key=None, local=True, metrics=Metrics())
    with pytest.raises(RuntimeError):
        asyncio.run(gate(scope, receive, send))
    assert sent == ["http.response.start"]


def test_each_request_is_counted_and_logged_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    with caplog.at_level(logging.INFO, logger="s3fd.serving"):
        answer = ask("/v1/detect?secret=1", metrics=metrics)
        assert ask(app=left_alone, metrics=metrics).status_code == 499
    (line, gone) = (r.getMessage() for r in caplog.records if r.name == "s3fd.serving")  # httpx may log, too
    assert line.startswith("GET other status=200 ms=")
    assert line.endswith(f" faces=3 id={answer.headers['X-Request-Id']}")
    assert " status=499 " in gone
    assert b's3fd_request_seconds_count{method="GET",route="other"} 2.0' in metrics.text()
    assert 0 <= float(line.split("ms=")[1].split()[0]) < 10_000
    assert "secret" not in line + gone


def test_what_is_no_request_is_passed_on() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    gate = Gate(app, key=KEY, local=True, metrics=Metrics())
    asyncio.run(gate(scope, None, None))  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]
