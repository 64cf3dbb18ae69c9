"""HTTP/1.1 on one connection: uvicorn's, parsed by llhttp, with the bounds that uvicorn leaves to a proxy."""

from __future__ import annotations

import asyncio
import socket
import sys

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
"""In which the headers of a request must have arrived; uvicorn itself would wait for ever."""

HEADER_BYTES = 2**16
"""That may arrive without a byte of a body among them: headers, or what frames and follows the pieces of one.
As much as h11 takes."""

AHEAD = 100
"""Requests that may wait on a connection for the answer to the one before: each takes some 2 kB."""

ANSWER_SECONDS = 30.0
"""In which a client must have taken something of its answer; uvicorn itself would wait for ever."""


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next request does not begin, or does not get on, or has no end of headers.

    So it does where too many requests are sent ahead.

    An offer to speak another protocol is passed over, as servers may, which llhttp takes for accepted.
    """

    _waiting: asyncio.TimerHandle | None = None
    _bytes_beside_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request.

        The system drops a connection whose other end takes no more of what is sent, also once it is closed
        here: asyncio keeps that until all is sent.

        Answers go out in two pieces, head and body. asyncio turns Nagle's algorithm off for sockets of its
        own alone, and with it the second piece waits some 40 ms until the client's system has acknowledged
        the first.
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

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless headers have no end."""
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
                "Too many requests are sent ahead." if many else "This is no HTTP request."
            )

    def on_headers_complete(self) -> None:
        """Stop to wait: what the request says is known."""
        if not self.parser.should_upgrade():
            if len(self.pipeline) >= AHEAD:
                raise HttpParserError("too many requests")
            self._stop_waiting()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._bytes_beside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._bytes_beside_body = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already.

        The rest of a body that was answered before it had come, if there is one, has to end meanwhile.
        """
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _parse(self, data: bytes) -> None:
        """Let the parser read; of a request with an offer, the head anew and without it."""
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
