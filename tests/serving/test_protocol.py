"""What comes over a connection that no client library would send, or only some."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from serving.conftest import Slow, running, until

from s3fd.serving import protocol
from s3fd.serving.settings import Limits

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A service that nothing has to wait for."""
    with running(Slow(0), Limits(upload=30)) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


class Connection:
    """A connection that sends what it is told to."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=20)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def flood(self, data: bytes, seconds: float = 20) -> int:
        """Send again and again until the other side has had enough; return how many bytes it took."""
        count, end = 0, time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self._socket.sendall(data)
                count += len(data)
        except OSError:
            return count
        raise AssertionError(f"took {count} bytes")

    def answer(self) -> tuple[int, bytes]:
        """Read one answer: its status and body; 0 if the connection was closed instead."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._reader.readline()
            if not line:
                return 0, head
            head += line
        length = re.search(rb"content-length: (\d+)", head)
        return int(head.split()[1]), self._reader.read(int(length[1])) if length else b""

    def closed(self) -> bool:
        """Whether the other side closes, in time for the socket's limit."""
        try:
            return self._reader.read() == b""
        except ConnectionResetError:
            return True


def sized(data: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(data) + data


def files_open() -> int:
    """Of this process, which is the service's, too."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_requests_share_a_connection(address: tuple[str, int], example: Path) -> None:
    with Connection(address) as connection:
        for _ in range(3):
            connection.send(POST + sized(example.read_bytes()))
            assert connection.answer()[0] == 200


def test_requests_sent_ahead_are_answered_in_order(address: tuple[str, int], example: Path) -> None:
    picture = POST + sized(example.read_bytes())
    with Connection(address) as connection:
        connection.send(picture + GET + b"\r\n" + picture + GET + b"\r\n")
        answers = [connection.answer() for _ in range(4)]
    assert [status for status, _ in answers] == [200] * 4
    assert [b"pictures" in body for _, body in answers] == [True, False, True, False]


@pytest.mark.parametrize("path", [b"/", b"/healthz", b"/readyz", b"/metrics"])
def test_whoever_looks_whether_it_is_there_may_ask_for_the_head_alone(
    address: tuple[str, int], path: bytes
) -> None:
    """As `curl -I`, `wget --spider` and services that watch others do."""
    with Connection(address) as connection:
        connection.send(b"HEAD %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
        status, body = connection.answer()
        assert (status, body) == (200, b"")


def test_a_request_may_come_in_pieces(address: tuple[str, int], example: Path) -> None:
    data = example.read_bytes()
    chunked = b"".join(
        b"%x\r\n%s\r\n" % (len(data[i : i + 999]), data[i : i + 999]) for i in range(0, len(data), 999)
    )
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\nX-After: the body\r\n\r\n"
    with Connection(address) as connection:
        for i in range(0, len(request), 700):
            connection.send(request[i : i + 700])
        assert connection.answer()[0] == 200
        connection.send(GET + b"\r\n")
        assert connection.answer()[0] == 200


def test_whoever_asks_first_whether_to_send_is_told_to(address: tuple[str, int], example: Path) -> None:
    data = example.read_bytes()
    with Connection(address) as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(data))
        assert connection.answer()[0] == 100
        connection.send(data)
        assert connection.answer()[0] == 200


def test_whoever_asks_first_and_is_refused_is_not_told_to_send(address: tuple[str, int]) -> None:
    with Connection(address) as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % 10**9)
        assert connection.answer()[0] == 413
        assert connection.closed()


def test_whoever_asks_first_and_may_not_ask_is_not_kept_waiting(example: Path) -> None:
    """What comes next on such a connection, the body or another request, is for nobody to tell."""
    with running(Slow(0), Limits(), key="a-key-of-sixteen-characters") as url:
        host, port = url.removeprefix("http://").split(":")
        with Connection((host, int(port))) as connection:
            start = time.monotonic()
            connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
            assert connection.answer()[0] == 401
            assert connection.closed()
            assert time.monotonic() - start < 2


def test_whoever_speaks_http_1_0_is_not_told_to_send(address: tuple[str, int], example: Path) -> None:
    with Connection(address) as connection:
        old = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
        connection.send(old + b"Expect: 100-continue\r\n" + sized(example.read_bytes()))
        assert connection.answer()[0] == 200
        assert connection.closed()


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_no_other_protocol_is_spoken(address: tuple[str, int], example: Path, upgrade: bytes) -> None:
    """Java's client offers HTTP/2 with its first request, and takes HTTP/1.1 for an answer."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAEA\r\n" % upgrade
    with Connection(address) as connection:
        connection.send(POST + offer + sized(example.read_bytes()))
        assert connection.answer()[0] == 200
        connection.send((GET + offer + b"\r\n") * 50)
        assert [connection.answer()[0] for _ in range(50)] == [200] * 50


@pytest.mark.parametrize(
    "request_",
    [
        b"no HTTP at all\r\n\r\n",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nnone\r\n",
        GET + b"X-Bad: a\0b\r\n\r\n",
        GET + b"X Bad: a\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        GET + b"Host: example.org\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\nHost: example.org\r\n\r\n",
    ],
)
def test_what_may_be_read_in_two_ways_is_not_read(address: tuple[str, int], request_: bytes) -> None:
    with Connection(address) as connection:
        connection.send(request_)
        assert connection.answer()[0] == 400
        assert connection.closed()


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (GET + b"X-Long: ", b"a" * 4096),
        (GET, b"X-Many: a\r\n" * 400),
        (b"GET /", b"a" * 4096),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Long: ", b"a" * 4096),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", b"X-Many: a\r\n" * 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3;", b"a" * 4096),
    ],
    ids=["a long header", "many headers", "a long path", "a long trailer", "many trailers", "an extension"],
)
def test_headers_without_end_are_not_kept(address: tuple[str, int], start: bytes, more: bytes) -> None:
    with Connection(address) as connection:
        connection.send(start)
        assert connection.flood(more) < 16 * 2**20  # what the systems at both ends keep, and no more


def test_a_body_that_nobody_waits_for_has_to_end(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    with Connection(address) as connection:
        connection.send(GET + b"Transfer-Encoding: chunked\r\n\r\n")
        assert connection.answer()[0] == 200
        start = time.monotonic()
        connection.flood(b"3\r\nabc\r\n" * 1000)
        assert time.monotonic() - start < 10


def test_a_request_that_does_not_get_on_is_not_waited_for(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    for before in (b"", GET + b"\r\n"):
        with Connection(address) as connection:
            if before:
                connection.send(before)
                assert connection.answer()[0] == 200
            start = time.monotonic()
            connection.send(GET)
            assert connection.closed()
            assert time.monotonic() - start < 5


def test_not_any_number_of_requests_is_sent_ahead(address: tuple[str, int]) -> None:
    with Connection(address) as connection:
        connection.send((GET + b"\r\n") * 100)
        assert [connection.answer()[0] for _ in range(100)] == [200] * 100
        connection.send((GET + b"\r\n") * 10_000)
        assert connection.answer() == (400, b"Too many pipelined requests.")
        assert connection.closed()


def test_connections_without_requests_keep_nobody_out(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 5)
    slow = Slow(0)
    with running(slow, Limits()) as url, ExitStack() as opened:
        host, port = url.removeprefix("http://").split(":")
        slow.go.clear()
        busy = opened.enter_context(Connection((host, int(port))))
        busy.send(POST + sized(example.read_bytes()))
        until(lambda: slow.calls == 2)  # the first is that of the start
        silent = [opened.enter_context(Connection((host, int(port)))) for _ in range(20)]
        start = time.monotonic()
        assert all(connection.closed() for connection in silent[:15])
        with Connection((host, int(port))) as connection:
            connection.send(GET + b"\r\n")
            assert connection.answer()[0] == 200
        assert time.monotonic() - start < 5 < protocol.HEADER_SECONDS
        slow.go.set()
        assert busy.answer()[0] == 200


def test_there_are_fewer_connections_than_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for files, most in [(1024, 448), (256, 64), (2**20, 4096), (resource.RLIM_INFINITY, 4096)]:
        monkeypatch.setattr(resource, "getrlimit", lambda what, files=files: (files, files))
        assert protocol.most_connections() == most


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_answers_that_nobody_takes_are_given_up(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 1)
    before = files_open()
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(address)
        with suppress(ConnectionError):  # on a busy machine, it is given up before everything is sent
            for _ in range(30):  # more answers than the systems at both ends keep
                silent.sendall((GET.replace(b"/healthz", b"/page/app.js") + b"\r\n") * 15)
                time.sleep(0.05)
        until(lambda: files_open() <= before + 1)
