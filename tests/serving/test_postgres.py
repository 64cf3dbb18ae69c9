"""The service with its people in PostgreSQL: a server that the tests start, stop and start again."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving.conftest import Process, check_problem, metric, running, until
from serving.home import THRESHOLD, Home
from typer.testing import CliRunner

from s3fd.cli import app
from s3fd.identity import galleries
from s3fd.identity.onnx_recogniser import open_recogniser
from s3fd.inference.runtime import open_runtime
from s3fd.serving.client import Client, ServiceError
from s3fd.serving.keeper import Gallery
from s3fd.serving.settings import Limits

PASSWORD = "correct-horse"
"""The server takes any: that none of them is told is what is tested."""


def with_password(url: str) -> str:
    assert url.startswith("postgresql://postgres:@/")
    return url.replace("postgres:@", f"postgres:{PASSWORD}@")


def get(url: str, path: str) -> httpx.Response:
    return httpx.get(f"{url}{path}", timeout=60, trust_env=False)


def cli(*arguments: object) -> list[Any]:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def place(postgres: Any) -> str:
    return with_password(postgres())


@pytest.fixture(scope="module")
def service(home: Home, place: str) -> Iterator[Process]:
    process = Process("--gallery", place, "--recogniser", str(home.recogniser), "--deadline", "60")
    yield process
    assert process.process.poll() is None, "a request took the service down"
    process.stop()
    log = "".join(process.lines)
    assert "the gallery is unavailable: PostgreSQL: " in log
    assert "the gallery is available again" in log
    assert not any(word in log for word in ("Traceback", PASSWORD, "Ada", "Rosa", "ada.png"))


def test_people_are_those_of_the_command_line(service: Process, home: Home, place: str) -> None:
    with Client(service.url) as client:
        assert client.gallery.enrol("Ada", home.ada).vectors == 1
        assert cli("gallery", "list", place) == [{"name": "Ada", "vectors": 1}]
        option = ("--recogniser", home.recogniser)
        cli("gallery", "add", place, home.rosa, "--name", "Rosa", *option)  # while the service runs
        assert client.gallery.people() == {"Ada": 1, "Rosa": 1}
        (line,) = cli("gallery", "identify", place, home.both, *option, "--threshold", THRESHOLD)
        told = client.gallery.identify(home.both, threshold=THRESHOLD)
        ours = [one.to_dict() for one in told.identities]
        theirs = [{key: face[key] for key in ("name", "score", "threshold")} for face in line["faces"]]
        assert ours == theirs and {one["name"] for one in ours} == {"Ada", "Rosa"}
        assert client.gallery.verify(home.ada_again, name="Ada", threshold=THRESHOLD).same
        assert client.gallery.remove("Rosa") == 1
        assert client.gallery.people() == {"Ada": 1}


def test_a_server_that_goes_and_comes_needs_no_restart_of_the_service(
    service: Process, home: Home, postgres: Any
) -> None:
    data = home.ada.read_bytes()
    with Client(service.url, retries=0) as client:
        client.gallery.enrol("Ada", home.ada)
        before = client.gallery.people()
        with postgres.away():
            for method, path, content in [
                ("GET", "", None),
                ("GET", "/people", None),
                ("POST", "/people?name=Rosa", data),
                ("DELETE", "/people?name=Ada", None),
                ("POST", "/identify?threshold=0.9", data),
                ("POST", "/verify?name=Ada&threshold=0.9", data),
            ]:
                answer = httpx.request(
                    method, f"{service.url}/v1/gallery{path}", content=content, timeout=60, trust_env=False
                )
                detail = check_problem(answer, 503)
                assert detail == "The gallery is unavailable; try again later."
                assert int(answer.headers["Retry-After"]) >= 1
            ready = get(service.url, "/readyz")
            assert check_problem(ready, 503) == "The gallery is unavailable; try again later."
            assert int(ready.headers["Retry-After"]) >= 1
            assert metric(service.url, "s3fd_gallery_up") == 0
            assert get(service.url, "/healthz").status_code == 200
            assert client.detect(home.ada).found == 1
        until(lambda: client.ready())
        assert client.gallery.people() == before
        assert metric(service.url, "s3fd_gallery_up") == 1
        with postgres.away():
            pass
        assert client.gallery.people() == before  # at the first try


def test_many_clients_at_a_time_lose_nothing(home: Home, postgres: Any) -> None:
    place = with_password(postgres())
    pictures = [home.ada.read_bytes(), home.ada_again.read_bytes()]
    recogniser = open_recogniser(home.recogniser, 1)
    galleries.create(place, recogniser.model).close()
    gallery = Gallery(lambda: galleries.open_gallery(place), recogniser)
    limits = Limits(per_client=None, deadline=60)
    with running(open_runtime("slim", 1, streams=2), limits, workers=2, gallery=gallery) as url:

        def work(i: int) -> None:
            with Client(url) as client:
                data = pictures[i // 2]
                client.gallery.enrol(f"person {i % 2}", data)
                (told,) = client.gallery.identify(data, threshold=THRESHOLD).identities
                assert told.name.startswith("person")
                client.gallery.enrol(f"guest {i}", data)
                assert client.gallery.remove(f"guest {i}") == 1

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    with galleries.open_gallery(place) as store:
        assert store.people() == {"person 0": 2, "person 1": 2}


def test_a_server_that_is_silent_is_given_up(home: Home, postgres: Any) -> None:
    place = postgres()
    recogniser = open_recogniser(home.recogniser, 1)
    galleries.create(place, recogniser.model).close()
    places = [place]
    gallery = Gallery(lambda: galleries.open_gallery(places[-1]), recogniser)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running(open_runtime("slim", 1), gallery=gallery) as url,
    ):
        port = silent.getsockname()[1]
        places.append(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/people?connect_timeout=2")
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 's3fd'"
        )
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: get(url, "/v1/gallery"), range(4)))
        for answer in answers:
            check_problem(answer, 503)
            assert PASSWORD not in answer.text
        places.pop()
        until(lambda: get(url, "/v1/gallery").status_code == 200)


def test_what_cannot_be_started_with_is_told_without_the_password(home: Home, tmp_path: Path) -> None:
    model = ("--recogniser", str(home.recogniser))
    away = f"postgresql://me:{PASSWORD}@/people?host={tmp_path}"
    for place, message in [
        (away, "s3fd: PostgreSQL: "),
        (f"postgresql://me:12/{PASSWORD}@db.example/people", "s3fd: not a valid database URL"),
    ]:
        answer = CliRunner().invoke(app, ["serve", "--port", "0", "--gallery", place, *model])
        assert answer.exit_code == 2
        assert answer.stderr.startswith(message)
        assert PASSWORD not in answer.output
    help_text = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    assert "postgresql://…" in help_text


def test_the_line_of_the_start_names_no_password(service: Process, place: str) -> None:
    assert PASSWORD in place
    assert "PostgreSQL database postgres on /" in service.said
    assert PASSWORD not in service.said


def test_a_name_that_no_text_of_postgresql_has_is_nobodys(service: Process, home: Home) -> None:
    with Client(service.url) as client, pytest.raises(ServiceError) as refused:
        client.gallery.verify(home.ada, name="Ada\0", threshold=THRESHOLD)
    assert refused.value.status == 404
