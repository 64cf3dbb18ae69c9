"""HTTP/1.1 on one connection: uvicorn's protocol on llhttp, with limits that uvicorn leaves to a proxy."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
"""Seconds within which the headers of a request must arrive; uvicorn itself would wait forever."""

HEADER_BYTES = 2**16
"""Maximum bytes that may arrive in a row without any byte of a body: headers, or the framing and trailers of
a chunked body. h11 allows 16 KiB by default."""

AHEAD = 100
"""Maximum pipelined requests that may wait on a connection for an earlier response; each takes about 2 kB."""

ANSWER_SECONDS = 30.0
"""Seconds within which a client must accept some of its response; uvicorn itself would wait forever."""


CONNECTIONS = 4096
"""Maximum open connections, if the system lets the process open as many files."""

BACKLOG = 128
"""Maximum connections that wait to be accepted, and that asyncio accepts at a time."""

OTHER_FILES = 4 * BACKLOG + 64
"""Open files that are not for connections: asyncio accepts several times before one of them comes here."""


def most_connections() -> int:
    """Return the maximum number of open connections; where the system tells its limit on files, below that.

    At that limit, asyncio would log an error for each of thousands of attempts to accept one more.
    """
    with suppress(ImportError):
        import resource

        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            return min(CONNECTIONS, max(files // 4, files - OTHER_FILES))
    return CONNECTIONS


class Protocol(HttpToolsProtocol):
    """HTTP protocol that closes slow and abusive connections.

    A connection is closed if the headers of its next request do not arrive in time or are too long, or if
    the client pipelines too many requests. If there are too many connections, the one that has been waiting
    for a request the longest is closed.

    An offer to upgrade to another protocol is ignored, as servers may do. llhttp by itself treats it as
    accepted.
    """

    _waiting: asyncio.TimerHandle | None = None
    _bytes_beside_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request.

        On Linux, the system drops a connection whose client accepts no more data. This works even after the
        connection is closed here, when asyncio keeps it until everything is sent.

        Responses go out in two pieces, head and body. asyncio disables Nagle's algorithm only for sockets
        that it creates itself. With the algorithm, the second piece would wait about 40 ms until the client's
        system has acknowledged the first.
        """
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sys.platform == "linux":
                connection.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(ANSWER_SECONDS * 1e3)
                )
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > most_connections():
            longest = self._longest_waiting()
            longest._stop_waiting()  # it stays among the connections for a moment
            longest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse received data; answer 400 to overlong headers and invalid requests."""
        self._unset_keepalive_if_required()
        if self._bytes_beside_body > HEADER_BYTES:
            self.send_400_response("The headers are too long.")
            return
        self._bytes_beside_body += len(data)
        try:
            self._parse(data)
        except HttpParserError:
            many = len(self.pipeline) >= AHEAD
            self.send_400_response(
                "Too many pipelined requests." if many else "This is not a valid HTTP request."
            )

    def on_headers_complete(self) -> None:
        """Stop waiting and handle the request; `_parse` feeds one with an upgrade offer again."""
        if not self.parser.should_upgrade():
            if len(self.pipeline) >= AHEAD:
                raise HttpParserError("too many requests")
            old = self.parser.get_http_version() == "1.0"
            hosts = sum(name == b"host" for name, _ in self.headers)
            if hosts > 1 or (not hosts and not old):
                raise HttpParserError("not one host")  # RFC 9112, 3.2
            if old:
                self.expect_100_continue = False  # RFC 9110, 10.1.1
            self._stop_waiting()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Handle a piece of a body."""
        self._bytes_beside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._bytes_beside_body = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has already arrived.

        If the response was sent before the whole body had arrived, the rest of the body has to arrive in the
        same time.
        """
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _parse(self, data: bytes) -> None:
        """Feed the parser; if a request offers an upgrade, feed its head again without the offer."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as offer:
                method, version = self.parser.get_method(), self.parser.get_http_version().encode()
                if method == b"CONNECT":
                    raise HttpParserError("a tunnel") from None
                head = [b"%s %s HTTP/%s\r\n" % (method, self.url, version)]
                head += [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
                data = b"".join([*head, b"\r\n", data[offer.args[0] :]])
                self.parser = HttpRequestParser(self)

    def _longest_waiting(self) -> Protocol:
        """Return the connection that has been waiting for a request the longest; this one is waiting, too."""
        since = {one: one._waiting.when() for one in self.connections if one._waiting}  # type: ignore[union-attr]
        return min(since, key=lambda one: since[one])  # type: ignore[return-value]

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()
