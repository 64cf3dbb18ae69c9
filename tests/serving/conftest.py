from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving.home import Home
from tints import EXAMPLE, PLAIN, tinted

from s3fd.inference.detector import Detector
from s3fd.inference.runtime import Runtime, open_runtime
from s3fd.serving.app import create_app
from s3fd.serving.keeper import Gallery
from s3fd.serving.server import bind, server
from s3fd.serving.settings import Limits


@pytest.fixture(scope="session")
def example() -> Path:
    """A photograph of one face."""
    return EXAMPLE


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Pictures of people, and a gallery's place, for the tests of one file."""
    return Home(tmp_path_factory.mktemp("home"))


class Process:
    """`s3fd serve` as a user starts it."""

    def __init__(self, *options: str, key: str | None = None) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "S3FD_API_KEY"}
        if key is not None:
            environment["S3FD_API_KEY"] = key
        self.process = subprocess.Popen(
            [sys.executable, "-m", "s3fd", "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None, line + self.process.stderr.read()
        self.said, self.url = line, address[0]
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self.lines.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=10)
        return code


@pytest.fixture(scope="session")
def service() -> Iterator[Process]:
    """The service with its own model and limits, in a process of its own."""
    process = Process("--per-client", "0")
    yield process
    assert process.process.poll() is None, "a request took the service down"
    process.stop()


class Slow:
    """A network that takes its time: each call waits until it is let go."""

    engine, device = "onnx", "cpu"

    def __init__(self, seconds: float) -> None:
        self._runtime = open_runtime("slim", 1)
        self.classes = self._runtime.classes
        self.seconds = seconds
        self.go = threading.Event()
        self.go.set()
        self.calls = 0

    def __call__(self, pictures, attributes=()):  # type: ignore[no-untyped-def]
        self.calls += 1
        time.sleep(self.seconds)
        assert self.go.wait(30)
        return self._runtime(pictures, attributes)


@contextmanager
def running(
    runtime: Runtime,
    limits: Limits | None = None,
    *,
    key: str | None = None,
    workers: int = 1,
    batch: int = 1,
    gallery: Gallery | None = None,
) -> Iterator[str]:
    """Serve in a thread of this process; gives the address."""
    started = threading.Event()
    app = create_app(
        Detector(runtime),
        workers=workers,
        batch=batch,
        limits=limits,
        key=key,
        gallery=gallery,
        on_ready=started.set,
    )
    bound, url = bind("127.0.0.1", 0)
    uvicorn = server(app, 10)
    thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        assert started.wait(30)
        yield url
    finally:
        uvicorn.should_exit = True
        thread.join(30)
        bound.close()
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium as installed on this machine, with the example before its camera."""
    from serving.pages import chromium, film

    with chromium(film(tmp_path_factory.mktemp("camera") / "camera.y4m", tinted(PLAIN))) as launched:
        yield launched


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address; whatever the console says is an error, except what a test expects."""
    from serving.pages import visiting

    with visiting(browser) as opened:
        yield opened


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def metric(url: str, name: str) -> float:
    """Value of a metric, with its labels in the name; 0 if it is not there yet."""
    for line in httpx.get(f"{url}/metrics", trust_env=False).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    return 0.0


def check_problem(answer: httpx.Response, status: int) -> str:
    """Check the form of a refusal; return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    return str(body["detail"])
