"""What applies to every request: access checks, headers of the response, and a line in the log."""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from s3fd.serving.metrics import Metrics
from s3fd.serving.problems import GONE, UNEXPECTED, Problem
from s3fd.serving.settings import is_loopback

log = logging.getLogger("s3fd.serving")

OPEN = ("/", "/healthz", "/readyz", "/openapi.json")
"""Paths that require no API key, besides those below `PAGE`: they reveal nothing about anybody."""

PAGE = "/page/"

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every response: the page runs only its own scripts, and no other page may use the service."""

MARKS = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
"""`SECURITY` in the form that ASGI requires."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, key: str | None, local: bool, metrics: Metrics) -> None:
        """Require `key`, unless it is None; if `local`, accept only requests addressed to a loopback name.

        With a key, any name is accepted, so that a proxy on this machine may pass on its own. Pages that
        reach this machine under another name do not have the key.
        """
        self._app = app
        self._key = key.encode() if key is not None else None
        self._local = local and key is None
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and log it without file names, queries or picture contents."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = uuid.uuid4().hex
        status, begun = 500, False

        async def mark(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], *MARKS, (b"x-request-id", request_id.encode())]
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        told: dict[str, Any] = {}
        scope.setdefault("state", {})["told"] = told
        headers = Headers(scope=scope)
        try:
            self._check(scope["path"], headers)
            await self._app(scope, receive, mark)
        except Problem as problem:
            if "expect" in headers:
                problem.headers["Connection"] = "close"  # the body may never come
            await problem.response()(scope, receive, mark)
        except ClientDisconnect:
            await Response(status_code=GONE)(scope, receive, mark)
        except Exception:
            if not begun:
                await Problem(500, UNEXPECTED).response()(scope, receive, mark)
            raise  # so that it is logged
        finally:
            self._report(scope, status, time.perf_counter() - start, request_id, told)

    def _check(self, path: str, headers: Headers) -> None:
        """Raise a `Problem` unless the request may be answered.

        A page of another site can make a visitor's browser send requests to this machine. Browsers reveal
        this in Origin and Sec-Fetch-Site. A host name that was made to resolve to this machine (DNS
        rebinding) appears in Host.
        """
        host = headers.get("host", "")
        if self._local and not is_loopback(_name(host)):
            raise Problem(421, "This service only answers requests that are addressed to localhost.")
        origin = headers.get("origin")
        foreign = origin is not None and _address(origin) != host
        if foreign or (headers.get("sec-fetch-site") == "cross-site" and path not in OPEN):
            raise Problem(403, "Requests from pages of other sites are not allowed.")
        if self._key is None or path in OPEN or path.startswith(PAGE):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key):
            raise Problem(
                401,
                "An API key is required: send the header Authorization: Bearer KEY.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _report(
        self, scope: Scope, status: int, seconds: float, request_id: str, told: dict[str, Any]
    ) -> None:
        """Count and log a request."""
        route = getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"]  # one of those that llhttp knows
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        more = "".join(f" {name}={value}" for name, value in told.items())
        log.info("%s %s status=%d ms=%.1f%s id=%s", method, route, status, seconds * 1e3, more, request_id)


@lru_cache(maxsize=64)
def _name(host: str) -> str:
    """Return the host name in a Host header, without its port; empty if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(origin: str) -> str | None:
    """Return the Host header that requests to this Origin would have; None if the header is malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
