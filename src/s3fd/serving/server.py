"""The uvicorn server and its logging."""

from __future__ import annotations

import logging
import signal
import socket

import uvicorn
from fastapi import FastAPI

from s3fd.serving.protocol import BACKLOG, Protocol


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
            backlog=BACKLOG,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
    )


def leave_signals_to_server() -> None:
    """Ignore SIGINT and SIGTERM from now on, except while a server runs, which handles them.

    After its shutdown, uvicorn raises them again for the handlers that were installed before it, and more may
    arrive while the process ends, as the first one asked. Handled, they would end it as if by an error.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def log_to_stderr(requests: bool) -> None:
    """Log warnings and errors to standard error, and one line per request if `requests` is set."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("s3fd.serving").setLevel(logging.INFO if requests else logging.WARNING)
