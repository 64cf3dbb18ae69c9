from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving.conftest import Process, Slow, running

import s3fd
from s3fd.serving.client import Client, Model, ServiceError
from s3fd.serving.settings import Limits


def test_the_client_gives_what_the_detector_finds(service: Process, example: Path) -> None:
    wanted = s3fd.load(attributes=("gender",))(example)
    with Client(service.url) as client:
        assert client.ready()
        assert client.model().attributes == {"gender": ["female", "male"]}
        record = client.detect(example, attributes=["gender"])
        assert (record.path, record.width, record.height) == ("astronaut.jpg", 512, 512)
        assert record.faces is not None
        np.testing.assert_allclose(record.faces.boxes, wanted.boxes, atol=0.051)
        assert record.faces.attributes["gender"].tolist() == wanted.attributes["gender"].tolist()
        assert record.faces.to_dicts() == wanted.to_dicts()
        none, broken = client.detect_many([example.read_bytes(), b"?"], min_score=1)
        assert none.faces is not None
        assert none.faces.boxes.shape == (0, 4)
        assert broken.error is not None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_need_not_be_text(service: Process, example: Path, tmp_path: Path) -> None:
    picture = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(example, picture)
    with Client(service.url) as client:
        assert client.detect(picture).path == "caf\\udce9.jpg"


def test_refusals_are_errors_with_a_reason(service: Process, example: Path) -> None:
    with Client(service.url) as client:
        with pytest.raises(ServiceError, match="415: not a picture") as refused:
            client.detect(b"?")
        assert refused.value.retry_after is None
        with pytest.raises(ServiceError, match="invalid size"):
            client.detect(example, size="huge")
        with pytest.raises(OSError, match="missing"):
            client.detect("missing.jpg")


@pytest.mark.parametrize(
    "content", ["<h1>Welcome</h1>", "{}", "[]", "null", '"text"', '{"pictures": [{}], "people": 1}']
)
@pytest.mark.parametrize(
    "asked",
    [
        lambda client: client.model(),
        lambda client: client.detect(b"?"),
        lambda client: client.gallery.card(),
        lambda client: client.gallery.people(),
        lambda client: client.gallery.enrol("Ada", b"?"),
        lambda client: client.gallery.remove("Ada"),
        lambda client: client.gallery.identify(b"?"),
        lambda client: client.gallery.verify(b"?", b"?"),
    ],
)
def test_something_else_at_the_address_is_told_of(content: str, asked: Callable[[Client], object]) -> None:
    with answering(content) as client:
        with pytest.raises(ServiceError, match=r"the server at http://.* is not s3fd") as refused:
            asked(client)
        assert (refused.value.status, refused.value.retry_after) == (200, None)


def test_fields_of_a_newer_service_are_left_out() -> None:
    with answering('{"version": "9", "engine": "onnx", "device": "cpu", "new": 1}') as client:
        assert client.model() == Model("9", "onnx", "cpu")


def test_a_name_that_fits_in_no_url_is_an_error_of_the_service(service: Process) -> None:
    with Client(service.url) as client, pytest.raises(ServiceError):
        client.gallery.remove("x" * 70_000)


def test_a_busy_service_is_asked_again(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(0)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)

    key = "a-key-of-sixteen-characters"
    with running(slow, Limits(held=80_000, body=80_000), key=key) as url:
        with pytest.raises(ServiceError, match="401"):
            Client(url).model()
        with Client(url, api_key=key, retries=2) as client:
            assert client.detect(example).found == 1
            monkeypatch.setattr("s3fd.serving.client.time.sleep", wait)
            monkeypatch.setattr("s3fd.serving.workers.Workers.check_room", _full)
            with pytest.raises(ServiceError, match="503"):
                client.detect(example)
            assert waited == [7, 7]
    gone = Client(url)
    assert not gone.ready()
    with pytest.raises(ServiceError) as unreachable:
        gone.model()
    assert unreachable.value.status == 0


@contextmanager
def answering(content: str) -> Iterator[Client]:
    """A client of a server that answers everything with `content`."""
    url = "http://127.0.0.1:8000"
    with Client(url) as client:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, text=content))
        client._http = httpx.Client(transport=transport, base_url=url)
        yield client


def _full(workers: object, count: int) -> None:
    from s3fd.serving.problems import busy

    raise busy(503, "full", 7)


def test_what_the_client_needs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "s3fd.serving.client")
    with pytest.raises(ModuleNotFoundError, match=r"httpx is not installed; .* 's3fd\[serve\]'"):
        importlib.import_module("s3fd.serving.client")
