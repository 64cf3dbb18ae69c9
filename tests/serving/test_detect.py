"""The service as its users see it: over a socket."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from serving.conftest import Process, Slow, check_problem, metric, running, until

from s3fd.inference.pyramid import looks
from s3fd.inference.runtime import open_runtime
from s3fd.serving import bodies, protocol
from s3fd.serving.settings import Limits

JPEG = {"Content-Type": "image/jpeg"}


def post(url: str, **request: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/detect", timeout=60, trust_env=False, **request)


def png(width: int, height: int) -> bytes:
    """A PNG file that claims to be this large and is a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


OPTIONS = [
    {},
    {"size": "auto", "attributes": "gender", "min_score": 0.1},
    {"size": "320", "attributes": "gender", "min_probability": 0.95, "min_size": 20},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_records_are_those_of_the_command_line(
    service: Process, example: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    with Image.open(example) as image:
        turned = tmp_path / "é turned.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        image.resize((1600, 1400)).save(turned, exif=exif)
        image.convert("L").save(tmp_path / "grey.png")
    files = [example, turned, tmp_path / "grey.png"]
    flags = [f for k, v in options.items() for f in (f"--{k.replace('_', '-')}", str(v))]
    command = [sys.executable, "-m", "s3fd", "detect", *map(str, files), *flags]
    lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    wanted = [json.loads(line) for line in lines]
    assert wanted[0]["faces"]
    sent = [("files", (str(file), file.read_bytes())) for file in files]
    answer = post(service.url, files=sent, params=options)
    assert answer.status_code == 200
    assert answer.json()["pictures"] == wanted
    alone = post(service.url, content=example.read_bytes(), headers=JPEG, params=options)
    assert alone.json()["pictures"] == [{**wanted[0], "path": ""}]


def test_concurrent_requests_do_not_change_each_other(service: Process, example: Path) -> None:
    with Image.open(example) as image:
        sizes = [300, 400, 512, 700]
        bodies = []
        for size in sizes:
            file = io.BytesIO()
            image.resize((size, size)).save(file, "JPEG")
            bodies.append(file.getvalue())

    def ask(body: bytes) -> Any:
        return post(service.url, content=body, headers=JPEG).json()

    one_by_one = [ask(body) for body in bodies]
    assert len({json.dumps(answer) for answer in one_by_one}) == len(sizes)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, bodies * 4)) == one_by_one * 4


def test_one_damaged_picture_of_several_has_a_record_of_its_own(service: Process, example: Path) -> None:
    files = [("files", ("a.jpg", example.read_bytes())), ("files", ("b.jpg", b"no picture"))]
    first, second = post(service.url, files=files).json()["pictures"]
    assert len(first["faces"]) == 1
    assert second["path"] == "b.jpg"
    assert second["error"].startswith("not a picture of a known format")


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"%PDF-1.4 no picture", 415, "known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "known format"),
        (b"\xff\xd8\xff", 415, "known format"),
        (png(60_000, 60_000), 413, "50,000,000"),
        (png(49_000_000, 1), 413, "65,535"),
        (png(300, 300), 422, ""),
        (b"", 422, "no picture"),
    ],
    ids=["pdf", "postscript", "three bytes", "bomb", "line", "truncated", "nothing"],
)
def test_what_is_no_picture_is_refused(service: Process, body: bytes, status: int, detail: str) -> None:
    assert detail in check_problem(post(service.url, content=body, headers=JPEG), status)
    assert httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize("width", [7_071, 10_000, 24_400, 40_000, 65_535])
def test_a_picture_of_any_shape_is_seen_in_few_tiles(width: int) -> None:
    limits = Limits()
    assert width <= limits.side
    assert len(looks(width, limits.pixels // width)) <= 67


def test_damaged_and_polyglot_pictures_leave_the_service_up(service: Process, example: Path) -> None:
    whole = example.read_bytes()
    random = np.random.default_rng(0)
    cut = post(service.url, content=whole[:20_000], headers=JPEG)
    assert "truncated" in check_problem(cut, 422)
    page = whole + b"<script>alert(1)</script>PK\x03\x04"
    assert post(service.url, content=page, headers=JPEG).json()["pictures"][0]["faces"]
    for _ in range(20):
        broken = bytearray(whole)
        for at in random.integers(0, len(whole), 50):
            broken[at] = random.integers(256)
        assert post(service.url, content=bytes(broken), headers=JPEG).status_code in (200, 413, 415, 422)
    scans = whole[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 500 + whole[-2:]
    assert "scans" in check_problem(post(service.url, content=scans, headers=JPEG), 422)


@pytest.mark.parametrize(
    "options",
    [
        {"size": "huge"},
        {"size": "0"},
        {"min_score": 2},
        {"min_score": "nan"},
        {"min_size": "inf"},
        {"attributes": "age"},
        {"min_scores": 0.9},
        {"min_score": [0.2, 0.9]},
    ],
)
def test_wrong_options_are_refused(service: Process, example: Path, options: dict[str, Any]) -> None:
    refused = post(service.url, content=example.read_bytes(), headers=JPEG, params=options)
    (name,) = options
    assert name in check_problem(refused, 422) or "age" in refused.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "multipart/form-data"}, 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 400),
        ({"Content-Type": f"multipart/form-data; boundary={'x' * 5000}"}, 400),
        ({**JPEG, "Origin": "https://elsewhere.example"}, 403),
        ({**JPEG, "Origin": "http://[::1"}, 403),
        ({**JPEG, "Host": "elsewhere.example"}, 421),
        ({**JPEG, "Host": "[::1"}, 421),
    ],
)
def test_wrong_requests_are_refused(service: Process, headers: dict[str, str], status: int) -> None:
    answer = post(service.url, content=b"--y\r\n", headers=headers)
    check_problem(answer, status)
    assert answer.headers["X-Request-Id"]


def test_unknown_paths_and_methods_are_problems_too(service: Process) -> None:
    check_problem(httpx.get(f"{service.url}/v1/other", trust_env=False), 404)
    check_problem(httpx.get(f"{service.url}/v1/detect", trust_env=False), 405)


def test_files_and_bytes_are_bounded(example: Path) -> None:
    limits = Limits(body=100_000, held=100_000, files=2, queue=2, seen=1000 * 1000, pixels=10**6)
    data = example.read_bytes()
    with running(open_runtime("slim", 1), limits) as url:
        many = [("files", ("a.png", b"x"))] * 3
        assert "2 files" in check_problem(post(url, files=many), 413)
        assert "100,000 bytes" in check_problem(post(url, content=data * 2, headers=JPEG), 413)
        endless = post(url, content=(b"x" * 1000 for _ in range(100_000)), headers=JPEG)
        assert "100,000 bytes" in check_problem(endless, 413)
        large = post(url, content=data, headers=JPEG, params={"size": 2000})
        assert "size=auto" in check_problem(large, 413)
        assert post(url, content=data, headers=JPEG).status_code == 200
        assert metric(url, "s3fd_held_bytes") == 0


def test_a_full_queue_refuses_and_says_when_to_come_back(example: Path) -> None:
    slow = Slow(0)
    data = example.read_bytes()
    with running(slow, Limits(queue=1, files=1, per_client=None)) as url, ThreadPoolExecutor(2) as pool:
        slow.go.clear()
        first = [pool.submit(post, url, content=data, headers=JPEG) for _ in range(2)]
        until(lambda: metric(url, "s3fd_queue_waiting") == 1)
        refused = post(url, content=data, headers=JPEG)
        check_problem(refused, 503)
        assert int(refused.headers["Retry-After"]) >= 1
        check_problem(post(url, content=data, headers=JPEG, params={"min_score": 2}), 503)
        check_problem(httpx.get(f"{url}/readyz", trust_env=False), 503)
        assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"status": "ok"}
        slow.go.set()
        assert [one.result().status_code for one in first] == [200, 200]
        assert post(url, content=data, headers=JPEG).status_code == 200


def test_one_client_cannot_have_everything(example: Path) -> None:
    slow = Slow(0)
    data = example.read_bytes()
    with running(slow, Limits(per_client=1)) as url, ThreadPoolExecutor(1) as pool:
        slow.go.clear()
        first = pool.submit(post, url, content=data, headers=JPEG)
        until(lambda: metric(url, "s3fd_workers_busy") == 1)
        refused = post(url, content=data, headers=JPEG)
        check_problem(refused, 429)
        assert "Retry-After" in refused.headers
        slow.go.set()
        assert first.result().status_code == 200


def test_the_deadline_holds_for_work_and_for_waiting(example: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="s3fd.serving")
    slow = Slow(0)
    data = example.read_bytes()
    with running(slow, Limits(deadline=0.5)) as url, ThreadPoolExecutor(2) as pool:
        slow.go.clear()
        calls = slow.calls
        late = [pool.submit(post, url, content=data, headers=JPEG, params={"size": 640}) for _ in range(2)]
        assert all("0.5 seconds" in check_problem(one.result(), 504) for one in late)
        told = rf" status=504 ms=\S+ pictures=1 bytes={len(data)} "  # what it was that took long
        until(lambda: sum(bool(re.search(told, line)) for line in caplog.messages) == 2)
        slow.go.set()
        until(lambda: metric(url, "s3fd_workers_busy") == 0)
        assert slow.calls == calls + 1  # what only waited was never begun
        until(lambda: post(url, content=data, headers=JPEG).status_code == 200)


def test_slow_senders_are_told_so(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)

    def dribble() -> Any:
        for _ in range(50):
            yield b"x"
            time.sleep(0.05)

    with running(open_runtime("slim", 1), Limits(upload=0.5)) as url:
        check_problem(post(url, content=dribble(), headers=JPEG), 408)
        host, port = url.removeprefix("http://").split(":")
        for start in (b"", b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow:"):
            with socket.create_connection((host, int(port)), timeout=10) as silent:
                silent.sendall(start)
                assert silent.recv(100) == b""  # closed
        assert post(url, content=example.read_bytes(), headers=JPEG).status_code == 200


def test_the_second_piece_of_an_answer_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Nagle's algorithm a client that asks for one thing after another waits 40 ms longer for each."""
    accepted: list[int] = []
    begin = protocol.Protocol.connection_made

    def watched(self: protocol.Protocol, transport: Any) -> None:
        begin(self, transport)
        connection = transport.get_extra_info("socket")
        accepted.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(protocol.Protocol, "connection_made", watched)
    with running(Slow(0), Limits()) as url:
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    assert accepted and all(accepted)


def test_who_leaves_is_not_waited_for(example: Path) -> None:
    slow = Slow(0)
    data = example.read_bytes()
    with running(slow, Limits()) as url, ThreadPoolExecutor(1) as pool:
        slow.go.clear()
        first = pool.submit(post, url, content=data, headers=JPEG)
        until(lambda: metric(url, "s3fd_workers_busy") == 1)
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{url}/v1/detect", content=data, headers=JPEG, timeout=0.3, trust_env=False)
        until(lambda: metric(url, "s3fd_queue_waiting") == 0)
        slow.go.set()
        assert first.result().status_code == 200
        assert metric(url, 's3fd_requests_total{method="POST",route="/v1/detect",status="499"}') == 1


def test_an_api_key_is_asked_for(example: Path) -> None:
    key = "a-key-of-sixteen-characters"
    with running(open_runtime("slim", 1), Limits(), key=key) as url:
        data = example.read_bytes()
        for wrong in ({}, {"Authorization": f"Bearer {key[:-1]}"}, {"Authorization": f"Basic {key}"}):
            answer = post(url, content=data, headers={**JPEG, **wrong})
            check_problem(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        check_problem(httpx.get(f"{url}/metrics", trust_env=False), 401)
        for path in ("/", "/page/app.js", "/healthz", "/readyz", "/openapi.json"):
            assert httpx.get(url + path, trust_env=False).status_code == 200
        for right in (f"Bearer {key}", f"bearer   {key}"):
            assert post(url, content=data, headers={**JPEG, "Authorization": right}).status_code == 200


def test_a_proxy_on_this_machine_passes_its_own_name_on_if_there_is_a_key(example: Path) -> None:
    """As nginx does with `proxy_set_header Host $http_host`, which the page needs for its Origin."""
    key = "a-key-of-sixteen-characters"
    named = {**JPEG, "Host": "faces.example.org", "Origin": "https://faces.example.org"}
    with running(open_runtime("slim", 1), Limits(), key=key) as url:
        assert httpx.get(url, headers=named, trust_env=False).status_code == 200
        check_problem(post(url, content=example.read_bytes(), headers=named), 401)
        right = {**named, "Authorization": f"Bearer {key}"}
        assert post(url, content=example.read_bytes(), headers=right).status_code == 200


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        (["--host", "0.0.0.0"], None, "API key"),
        (["--host", "0.0.0.0"], "short", "16 printable"),
        (["--api-key-file", "missing"], None, "--api-key-file"),
        (["--max-files", "99"], None, "queue"),
        (["--batch", "4", "--workers", "2"], None, "--batch 4 needs at least as many --workers, not 2"),
        (["--max-megabytes", "inf"], None, "--max-megabytes: inf"),
        (["--max-megapixels", "1e308"], None, "--max-megapixels: 1e+308"),
        (["--deadline", "inf"], None, "--deadline: inf"),
        (["--host", "203.0.113.1"], "a-key-of-sixteen-characters", "--host"),
        (["--weights", "missing.onnx"], None, "no such model"),
    ],
)
def test_what_cannot_start_says_why(options: list[str], key: str | None, message: str) -> None:
    environment = {**os.environ, "S3FD_API_KEY": key or ""}
    command = [sys.executable, "-m", "s3fd", "serve", "--port", "0", *options]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_is_no_error() -> None:
    process = Process("--workers", "1")
    process.process.send_signal(signal.SIGINT)
    assert process.process.wait(timeout=60) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_it_finishes_what_it_has_and_logs_no_names(example: Path) -> None:
    process = Process("--workers", "1", "--deadline", "300")
    answers: list[httpx.Response] = []
    files = [("files", (f"secret-name-{i}.jpg", example.read_bytes())) for i in range(16)]
    thread = threading.Thread(target=lambda: answers.append(post(process.url, files=files)))
    thread.start()
    until(lambda: metric(process.url, "s3fd_workers_busy") == 1)
    process.process.send_signal(signal.SIGTERM)
    thread.join(300)
    assert len(answers[0].json()["pictures"]) == 16
    assert process.stop() == 0
    log = "".join(process.lines)
    assert "POST /v1/detect status=200" in log
    assert "faces=16" in log
    assert "secret" not in log
    assert "Traceback" not in log


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_again_and_again_it_ends_well(number: signal.Signals) -> None:
    process = Process("--workers", "1").process
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.005)
    assert process.wait() == 0


def test_the_interface_is_described(service: Process) -> None:
    described = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    detect = described["paths"]["/v1/detect"]["post"]
    assert {"multipart/form-data", "image/*"} <= set(detect["requestBody"]["content"])
    assert {"200", "413", "415", "422", "429", "503", "504"} <= set(detect["responses"])
    assert described["components"]["schemas"]["Answer"]["examples"][0]["pictures"][0]["faces"]
    names = {parameter["name"] for parameter in detect["parameters"]}
    assert names == {"size", "min_score", "min_size", "attributes", "min_probability"}


def test_every_answer_is_marked(service: Process) -> None:
    for path in ("/", "/page/app.js", "/v1/model", "/v1/other"):
        headers = httpx.get(service.url + path, trust_env=False).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Request-Id"]
