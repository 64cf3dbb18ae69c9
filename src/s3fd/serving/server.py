"""The server: uvicorn, with a limit on how long a connection may take to say what it wants."""

from __future__ import annotations

import asyncio
import logging
import socket

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""In which the headers of a request must have arrived; uvicorn itself would wait for ever."""

BACKLOG = 128


class Protocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose next request does not begin, or does not get on."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request.

        Answers go out in two pieces, head and body. asyncio turns Nagle's algorithm off for sockets of its
        own alone, and with it the second piece waits some 40 ms until the client's system has acknowledged
        the first.
        """
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on while the headers are incomplete, however often a byte of them comes."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def bind(host: str, port: int) -> tuple[socket.socket, str]:
    """Bind a TCP socket, port 0 being any that is free; return it and the address for a browser.

    Raises:
        OSError: the address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    shown = f"[{host}]" if ":" in host else host
    return bound, f"http://{shown}:{bound.getsockname()[1]}"


def server(app: FastAPI, grace: float) -> uvicorn.Server:
    """Build a server, whose ``run(sockets=[bound])`` serves until SIGINT or SIGTERM.

    It then takes no more, and finishes what has begun within `grace` seconds.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
    )


def log_to_stderr(requests: bool) -> None:
    """Send what goes wrong to standard error, and a line a request if they are wanted."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("s3fd.serving").setLevel(logging.INFO if requests else logging.WARNING)
