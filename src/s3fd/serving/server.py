"""The uvicorn server and its logging."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from s3fd.serving.protocol import Protocol

BACKLOG = 128


def bind(host: str, port: int) -> tuple[socket.socket, str]:
    """Bind a TCP socket, to any free port if `port` is 0; return it and the address for a browser.

    Raises:
        OSError: the address does not belong to this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    shown = f"[{host}]" if ":" in host else host
    return bound, f"http://{shown}:{bound.getsockname()[1]}"


def server(app: FastAPI, grace: float) -> uvicorn.Server:
    """Build a server whose ``run(sockets=[bound])`` serves until SIGINT or SIGTERM.

    It then accepts no more connections, and finishes running requests within `grace` seconds.
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


@contextmanager
def signals_end_it() -> Iterator[None]:
    """Leave SIGINT and SIGTERM to the server that runs in the block.

    After its shutdown, uvicorn raises them again for the handlers that were installed before it. By then the
    server has already ended, as the signal asked: handled again, it would end the process as if by an error.
    """
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def log_to_stderr(requests: bool) -> None:
    """Log warnings and errors to standard error, and one line per request if `requests` is set."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("s3fd.serving").setLevel(logging.INFO if requests else logging.WARNING)
