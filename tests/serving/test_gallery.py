"""The gallery over a socket: people in, names or "unknown" out, and nothing left of who is removed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import colour_model
import cv2
import httpx
import numpy as np
import pytest
from serving.conftest import Process, Slow, check_problem, metric, running, until
from serving.home import THRESHOLD, Home
from tints import PLAIN, tinted
from typer.testing import CliRunner

from s3fd.cli.serve import app
from s3fd.identity.onnx_recogniser import open_recogniser
from s3fd.identity.sqlite_store import SqliteStore, create_store, open_store
from s3fd.identity.store import Calibration
from s3fd.identity.vectors import normalise
from s3fd.inference.runtime import open_runtime
from s3fd.serving import bodies
from s3fd.serving.client import Client, ServiceError
from s3fd.serving.keeper import Gallery, Keeper
from s3fd.serving.settings import Limits

PEOPLE = "/v1/gallery/people"


@pytest.fixture(scope="module")
def service(home: Home) -> Iterator[Process]:
    """The service with a gallery that it makes itself, of Ada and Rosa."""
    process = Process("--per-client", "0", *home.options)
    with Client(process.url) as client:
        client.gallery.enrol("Ada", home.ada)
        client.gallery.enrol("Rosa", home.rosa)
    yield process
    assert process.process.poll() is None, "a request took the service down"
    process.stop()
    log = "".join(process.lines)
    assert "Traceback" not in log
    assert not any(word in log for word in ("Ada", "Rosa", "ada.png"))


@pytest.fixture
def client(service: Process) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


@pytest.fixture
def own(tmp_path: Path) -> Home:
    """People of a test that changes them."""
    return Home(tmp_path)


def ask(method: str, url: str, path: str, **request: Any) -> httpx.Response:
    return httpx.request(method, f"{url}/v1/gallery{path}", timeout=60, trust_env=False, **request)


def cli(*arguments: object) -> list[Any]:
    command = [sys.executable, "-m", "s3fd", "gallery", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_who_is_known_gets_a_name_and_others_are_unknown(client: Client, home: Home) -> None:
    asked = client.gallery.identify_many(
        [home.ada_again, home.stranger, home.both], threshold=THRESHOLD, attributes=["gender"]
    )
    assert [[one.name for one in told.identities] for told in asked[:2]] == [["Ada"], ["unknown"]]
    assert {one.name for one in asked[2].identities} == {"Ada", "Rosa"}
    for told in asked:
        assert told.record.faces is not None
        assert "gender" in told.record.faces.attributes
        for identity in told.identities:
            assert identity.threshold == THRESHOLD
            assert identity.score is not None
            assert identity.known == (identity.name != "unknown") == (identity.score >= THRESHOLD)


def test_the_answers_are_those_of_the_command_line(service: Process, home: Home) -> None:
    pictures = [home.ada_again, home.stranger, home.both]
    option = ("--recogniser", home.recogniser, "--threshold", THRESHOLD)
    lines = cli("identify", home.gallery, *pictures, *option)
    sent = [("files", (str(file), file.read_bytes())) for file in pictures]
    answer = ask("POST", service.url, "/identify", files=sent, params={"threshold": THRESHOLD})
    told = [
        {
            "path": one["path"],
            "faces": [{"box": face["box"], **face["identity"]} for face in one["faces"]],
        }
        for one in answer.json()["pictures"]
    ]
    assert told == lines
    (line,) = cli("verify", home.gallery, "Ada", home.ada_again, *option)
    params = {"threshold": THRESHOLD, "name": "Ada"}
    same = ask("POST", service.url, "/verify", files=sent[:1], params=params).json()
    assert same.pop("pictures")[0]["path"] == line.pop("path") == str(home.ada_again)
    assert same == line


def test_two_pictures_are_one_persons_or_not(client: Client, home: Home) -> None:
    same = client.gallery.verify(home.ada, home.ada_again, threshold=THRESHOLD)
    other = client.gallery.verify(home.ada, home.rosa, threshold=THRESHOLD)
    assert same.same
    assert same.score >= same.threshold == THRESHOLD > other.score
    assert not other.same
    assert len(same.boxes) == 2
    assert client.gallery.verify(home.ada, name="Ada", threshold=THRESHOLD).score == pytest.approx(
        1, abs=1e-4
    )
    for pictures, name, status, reason in [
        ([home.ada], None, 422, "2 pictures, not 1"),
        ([home.ada, home.ada], "Ada", 422, "1 picture, not 2"),
        ([home.ada], "Grace", 404, "'Grace'"),
        ([home.ada, home.both], None, 422, "both.png: 2 faces"),
    ]:
        with pytest.raises(ServiceError, match=reason) as refused:
            client.gallery.verify(*pictures, name=name, threshold=THRESHOLD)
        assert refused.value.status == status


def test_people_are_listed_in_order_and_in_parts(service: Process, client: Client) -> None:
    assert client.gallery.people() == {"Ada": 1, "Rosa": 1}
    first = ask("GET", service.url, "/people", params={"limit": 1}).json()
    assert first == {"people": [{"name": "Ada", "vectors": 1}], "next": "Ada"}
    rest = ask("GET", service.url, "/people", params={"after": first["next"]}).json()
    assert rest == {"people": [{"name": "Rosa", "vectors": 1}], "next": None}
    card = client.gallery.card()
    assert (card.model, card.people, card.vectors, card.calibration) == ("colours", 2, 2, None)
    assert client.model().gallery


def test_a_picture_that_shows_nobody_well_is_refused_with_the_reason(
    service: Process, client: Client, home: Home, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 120, np.uint8))
    cv2.imwrite(str(tmp_path / "blurred.png"), cv2.GaussianBlur(tinted(PLAIN), (0, 0), 4))
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(tinted(PLAIN)[:256], (150, 75)))
    for file, reason in [
        (tmp_path / "wall.png", "no face"),
        (home.both, "2 faces: cannot tell which one is meant"),
        (tmp_path / "blurred.png", "too blurred: sharpness"),
        (tmp_path / "small.png", "too small: .* pixels, minimum 32"),
    ]:
        with pytest.raises(ServiceError, match=reason) as refused:
            client.gallery.enrol("Grace", file)
        assert refused.value.status == 422
        assert refused.value.retry_after is None
    assert "Grace" not in client.gallery.people()
    check_problem(ask("POST", service.url, "/people?name=Grace", content=b"no picture"), 415)


def test_of_several_pictures_the_good_ones_are_enrolled(own: Home) -> None:
    with running(open_runtime("slim", 1), gallery=own.served()) as url, Client(url) as client:
        enrolled = client.gallery.enrol(" Ada ", own.ada, own.both, b"torn", own.ada_again)
        assert (enrolled.name, enrolled.vectors) == ("Ada", 2)
        errors = [record.error for record in enrolled.pictures]
        assert errors[0] is None and errors[3] is None
        assert "2 faces" in str(errors[1]) and "known format" in str(errors[2])
        assert enrolled.pictures[0].faces is not None
        assert enrolled.pictures[0].faces.boxes[0] == pytest.approx([178.4, 63.4, 270.4, 175.6], abs=0.1)
        assert client.gallery.enrol("Nobody", b"torn", own.both).vectors == 0
        assert client.gallery.people() == {"Ada": 2}
        assert client.gallery.enrol("Ada", own.ada, own.ada_again).vectors == 2  # they are there already
        assert metric(url, "s3fd_enrolled_total") == 2
        with closing(sqlite3.connect(own.gallery)) as connection:
            kept = [row for (row,) in connection.execute("SELECT source FROM vector")]
        assert kept == ["ada.png", "ada again.png"]


def test_a_box_says_which_of_several_faces_it_is(own: Home) -> None:
    with running(open_runtime("slim", 1), gallery=own.served()) as url, Client(url) as client:
        faces = client.detect(own.both).faces
        assert faces is not None
        right = faces.boxes[faces.boxes[:, 0].argmax()]
        client.gallery.enrol("Rosa", own.both, box=right)
        (told,) = client.gallery.identify(own.rosa, threshold=THRESHOLD).identities
        assert told.name == "Rosa"
        (told,) = client.gallery.identify(own.ada, threshold=THRESHOLD).identities
        assert told.name == "unknown"
        with pytest.raises(ServiceError, match="no face in this box"):
            client.gallery.enrol("Rosa", own.both, box=right + 100)
        with pytest.raises(ServiceError, match="1 picture, not 2"):
            client.gallery.enrol("Rosa", own.both, own.both, box=right)
        for box in ("1,2,3", "1,2,3,x", "5,5,1,9", "0,0,inf,9", ""):
            answer = ask(
                "POST", url, "/people", params={"name": "Rosa", "box": box}, content=own.ada.read_bytes()
            )
            assert "box" in check_problem(answer, 422)


@pytest.mark.parametrize("name", ["", "  ", "n" * 201, "two\nlines", "unknown", ".."])
def test_what_is_no_name_is_refused(service: Process, home: Home, name: str) -> None:
    content = home.ada.read_bytes()
    answer = ask("POST", service.url, "/people", params={"name": name}, content=content)
    assert "name" in check_problem(answer, 422)


@pytest.mark.parametrize("name", ["../Ada", "A/B?c=d#e", "...", "Zoë 李", "'; DROP TABLE person --"])
def test_any_other_name_is_kept_as_it_is(client: Client, home: Home, name: str) -> None:
    client.gallery.enrol(name, home.rosa)
    assert client.gallery.people()[name] == 1
    assert client.gallery.remove(name) == 1
    assert name not in client.gallery.people()


def test_a_name_is_the_same_in_any_spelling(client: Client, home: Home) -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    assert client.gallery.enrol(decomposed, home.rosa).vectors == 1
    assert client.gallery.enrol(composed, home.ada).vectors == 2
    assert client.gallery.people()[composed] == 2
    assert client.gallery.verify(home.rosa, name=decomposed, threshold=THRESHOLD).same
    assert client.gallery.remove(decomposed) == 2


def test_who_is_removed_is_gone_to_the_last_byte(own: Home) -> None:
    with running(open_runtime("slim", 1), gallery=own.served()) as url, Client(url) as client:
        client.gallery.enrol("Ada Byron", own.ada, own.ada_again)
        client.gallery.enrol("Rosa", own.rosa)
        with closing(open_store(own.gallery)) as store:
            vectors = [vector.astype("<f4").tobytes() for vector in store.vectors_of("Ada Byron")]
        data = own.gallery.read_bytes()
        traces = [*vectors, b"Ada Byron", b"ada again.png"]
        assert all(trace in data for trace in traces)
        assert client.gallery.remove("Ada Byron") == 2
        data = own.gallery.read_bytes()
        assert not any(trace in data for trace in traces)
        assert list(own.folder.glob("g.db*")) == [own.gallery]  # no journal either
        (told,) = client.gallery.identify(own.ada, threshold=THRESHOLD).identities
        assert told.name == "unknown"
        with pytest.raises(ServiceError, match="404: nobody in this gallery is called 'Ada Byron'"):
            client.gallery.remove("Ada Byron")
        assert metric(url, "s3fd_removed_total") == 2
        assert metric(url, 's3fd_identified_total{known="false"}') == 1


def test_a_removal_with_two_names_removes_nobody(own: Home) -> None:
    """Whoever asks for both believes that both are gone."""
    with running(open_runtime("slim", 1), gallery=own.served()) as url, Client(url) as client:
        client.gallery.enrol("Ada", own.ada)
        client.gallery.enrol("Rosa", own.rosa)
        answer = ask("DELETE", url, "/people?name=Ada&name=Rosa")
        assert check_problem(answer, 422) == "name: given more than once"
        assert check_problem(ask("GET", url, "/people?limt=1"), 422) == "limt: no such option"
        assert client.gallery.people() == {"Ada": 1, "Rosa": 1}


def test_without_a_threshold_nobody_is_identified(own: Home) -> None:
    gallery = own.served()
    with running(open_runtime("slim", 1), gallery=gallery) as url, Client(url) as client:
        (told,) = client.gallery.identify(own.ada, threshold=0.5).identities
        assert (told.name, told.score) == ("unknown", None)  # of an empty gallery
        client.gallery.enrol("Ada", own.ada)
        for call in (
            lambda: client.gallery.identify(own.ada),
            lambda: client.gallery.verify(own.ada, name="Ada"),
        ):
            with pytest.raises(ServiceError, match="409: The gallery has no threshold"):
                call()
        fitted = Calibration(identify=0.98, verify=0.96, false_accepts=0.1, faces=10, vectors=1, pairs=0.94)
        with closing(open_store(own.gallery)) as store:  # by another program, while the service runs
            store.calibrate(fitted)
        assert client.gallery.identify(own.ada).identities[0].threshold == 0.98
        assert client.gallery.verify(own.ada, name="Ada").threshold == 0.96
        assert client.gallery.verify(own.ada, own.ada).threshold == 0.94
        assert client.gallery.card().calibration == fitted
        with closing(open_store(own.gallery)) as store:
            store.remove("Ada")
        assert client.gallery.identify(own.ada).identities[0].name == "unknown"


def test_the_services_threshold_goes_before_the_gallerys(own: Home) -> None:
    gallery = own.served()
    with (
        running(open_runtime("slim", 1), gallery=replace(gallery, threshold=0.9)) as url,
        Client(url) as client,
    ):
        assert client.gallery.card().threshold == 0.9
        assert client.gallery.identify(own.ada).identities[0].threshold == 0.9
        assert client.gallery.verify(own.ada, own.ada).threshold == 0.9
        assert client.gallery.identify(own.ada, threshold=0.2).identities[0].threshold == 0.2


def test_many_clients_at_a_time_lose_nothing(own: Home) -> None:
    limits = Limits(per_client=None, deadline=60)
    pictures = [own.ada.read_bytes(), own.ada_again.read_bytes()]
    with running(open_runtime("slim", 1, streams=2), limits, workers=2, gallery=own.served()) as url:

        def work(i: int) -> None:
            with Client(url) as client:
                data = pictures[i // 4]
                client.gallery.enrol(f"person {i % 4}", data)
                told = client.gallery.identify(data, threshold=THRESHOLD).identities
                assert told[0].name.startswith("person")
                if i >= 4:
                    client.gallery.enrol(f"guest {i}", data)
                    assert client.gallery.remove(f"guest {i}") == 1

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(8)))
        with Client(url) as client:
            assert client.gallery.people() == {f"person {i}": 2 for i in range(4)}
    with closing(open_store(own.gallery)) as store:
        assert store.people() == {f"person {i}": 2 for i in range(4)}


def test_a_gallery_that_another_program_locks_delays_nobody_for_ever(own: Home) -> None:
    limits = Limits(deadline=0.5)
    with running(open_runtime("slim", 1), limits, gallery=own.served()) as url, Client(url) as client:
        with closing(sqlite3.connect(own.gallery)) as other:
            other.execute("BEGIN EXCLUSIVE")
            check_problem(ask("GET", url, ""), 504)
            assert client.ready()  # for what needs no gallery
            other.rollback()
        until(lambda: ask("GET", url, "").status_code == 200)


def test_faces_that_nobody_waits_for_are_not_looked_up(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def slowly(store: Any, vector: Any) -> list[Any]:
        searched.append(vector)
        time.sleep(0.3)
        return []

    with running(open_runtime("slim", 1), Limits(deadline=2), gallery=own.served()) as url:
        monkeypatch.setattr(SqliteStore, "search", slowly)
        picture, options = {"files": own.ada.read_bytes()}, {"threshold": 0, "min_score": 0}
        check_problem(ask("POST", url, "/identify", files=picture, params=options), 504)
        until(lambda: ask("GET", url, "").status_code == 200)  # the gallery is free again
        assert 1 < len(searched) < 10  # of some hundred faces


def test_a_change_counts_even_if_nobody_waits_for_it(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(change: Any) -> Any:
        def changed(*arguments: Any) -> Any:
            time.sleep(2.5)
            return change(*arguments)

        return changed

    with running(open_runtime("slim", 1), Limits(deadline=2), gallery=own.served()) as url:
        monkeypatch.setattr(SqliteStore, "add", slowly(SqliteStore.add))
        monkeypatch.setattr(SqliteStore, "remove", slowly(SqliteStore.remove))
        picture, name = {"files": own.ada.read_bytes()}, {"name": "Ada"}
        check_problem(ask("POST", url, "/people", files=picture, params=name), 504)
        until(lambda: metric(url, "s3fd_enrolled_total") == 1)
        check_problem(ask("DELETE", url, "/people", params=name), 504)
        until(lambda: metric(url, "s3fd_removed_total") == 1)
        for method in ("POST", "DELETE"):  # which take times of their own
            labels = f'{{method="{method}",route="/v1/gallery/people"}}'
            assert metric(url, f"s3fd_request_seconds_count{labels}") == 1


def test_a_store_that_fails_is_opened_anew(
    own: Home, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, opened = own.served(), []

    def counted() -> Any:
        opened.append(gallery.open())
        return opened[-1]

    def broken() -> Any:
        raise sqlite3.OperationalError("disk I/O error")

    with (
        running(open_runtime("slim", 1), gallery=Gallery(counted, gallery.recogniser)) as url,
        Client(url, retries=0) as client,
    ):
        client.gallery.enrol("Ada", own.ada)
        monkeypatch.setattr(opened[0], "people", broken)
        with pytest.raises(ServiceError, match="503: The gallery is unavailable; try again later") as refused:
            client.gallery.people()
        assert refused.value.retry_after == 1
        assert "disk I/O error" in caplog.text
        assert client.gallery.people() == {"Ada": 1}
        assert len(opened) == 2


def test_a_full_gallery_takes_no_more(own: Home) -> None:
    limits = Limits(vectors=2)
    with running(open_runtime("slim", 1), limits, gallery=own.served()) as url, Client(url) as client:
        client.gallery.enrol("Ada", own.ada)
        with pytest.raises(ServiceError, match="507: The gallery is full: the limit is 2 vectors"):
            client.gallery.enrol("Rosa", own.rosa, own.ada)
        assert client.gallery.people() == {"Ada": 1}
        assert client.gallery.enrol("Rosa", own.rosa, own.rosa).vectors == 1
        assert client.gallery.enrol("Ada", own.ada).vectors == 1  # a repeated request succeeds


def test_requests_are_bounded_as_all_others(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.2)
    limits = Limits(body=600_000, held=600_000, files=2, queue=2, per_client=1, pixels=300_000)
    slow, data = Slow(0), own.ada.read_bytes()
    with running(slow, limits, gallery=own.served()) as url, ThreadPoolExecutor(1) as pool:
        many = [("files", ("a.png", b"x"))] * 3
        for path in ("/people?name=A", "/identify", "/verify"):
            assert "2 files" in check_problem(ask("POST", url, path, files=many), 413)
            check_problem(ask("POST", url, path, content=data * 2), 413)
            check_problem(ask("POST", url, path, content=data, headers={"Content-Encoding": "gzip"}), 415)
        large = ask("POST", url, "/people?name=A", content=own.both.read_bytes()[:500_000])
        assert "300,000" in check_problem(large, 413)
        slow.go.clear()
        first = pool.submit(ask, "POST", url, "/people?name=A", content=data)
        until(lambda: metric(url, "s3fd_workers_busy") == 1)
        check_problem(ask("POST", url, "/identify", content=data), 429)
        slow.go.set()
        assert first.result().status_code == 200
        assert metric(url, "s3fd_held_bytes") == 0


def test_a_key_is_asked_for(own: Home) -> None:
    key = "a-key-of-sixteen-characters"
    with running(open_runtime("slim", 1), key=key, gallery=own.served()) as url:
        for method, path in [
            ("GET", ""),
            ("GET", "/people"),
            ("POST", "/people?name=A"),
            ("DELETE", "/people?name=A"),
            ("POST", "/identify"),
            ("POST", "/verify"),
        ]:
            check_problem(ask(method, url, path), 401)
        foreign = {"Authorization": f"Bearer {key}", "Origin": "https://elsewhere.example"}
        check_problem(ask("DELETE", url, "/people?name=A", headers=foreign), 403)
        with Client(url, api_key=key) as client:
            assert client.gallery.people() == {}


def test_what_an_enrolment_has_begun_is_finished_at_the_end(own: Home) -> None:
    slow, data = Slow(0), own.ada.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        with running(slow, gallery=own.served()) as url:
            slow.go.clear()
            answer = pool.submit(ask, "POST", url, "/people?name=Ada", content=data)
            until(lambda: metric(url, "s3fd_workers_busy") == 1)
            threading.Timer(0.5, slow.go.set).start()
        assert answer.result().status_code == 200
    with closing(open_store(own.gallery)) as store:
        assert store.people() == {"Ada": 1}


def test_a_service_without_a_gallery_has_no_such_routes() -> None:
    with running(open_runtime("slim", 1)) as url, Client(url) as client:
        check_problem(ask("GET", url, "/people"), 404)
        assert not client.model().gallery
        paths = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
        assert not any("gallery" in path for path in paths)


def test_the_routes_are_described_with_examples(service: Process) -> None:
    described = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    paths, schemas = described["paths"], described["components"]["schemas"]
    routes = {(m, p) for p, methods in paths.items() for m in methods if p.startswith("/v1/gallery")}
    assert routes == {
        ("get", "/v1/gallery"),
        ("get", PEOPLE),
        ("post", PEOPLE),
        ("delete", PEOPLE),
        ("post", "/v1/gallery/identify"),
        ("post", "/v1/gallery/verify"),
    }
    for method, path in routes:
        responses = paths[path][method]["responses"]
        name = responses["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert schemas[name]["examples"], name
        assert {"401", "503", "504"} <= set(responses)
    assert {"multipart/form-data", "image/*"} <= set(paths[PEOPLE]["post"]["requestBody"]["content"])
    assert {"413", "415", "422", "429", "507"} <= set(paths[PEOPLE]["post"]["responses"])
    assert schemas["IdentifiedFace"]["examples"][0]["identity"]["score"]


def test_a_gallery_that_cannot_be_served_says_why(home: Home, tmp_path: Path, service: Process) -> None:
    other = colour_model.save(tmp_path / "other.onnx", margin=0.2)
    (tmp_path / "no.db").write_bytes(b"no gallery, but a file that is long enough to look like one")
    model = ("--recogniser", str(home.recogniser))
    for options, message in [
        (["--gallery", str(tmp_path / "g.db"), "--weights", "slim"], "slim has no embedding"),
        (list(model), "require --gallery"),
        (["--gallery", str(tmp_path / "g.db"), "--recogniser", "missing.onnx"], "no such"),
        (["--gallery", str(home.gallery), "--recogniser", str(other)], "cannot be compared"),
        (["--gallery", str(tmp_path / "no.db"), *model], "not a gallery"),
        (["--gallery", str(tmp_path / "missing" / "g.db"), *model], "No such file"),
    ]:
        answer = CliRunner().invoke(app, ["--port", "0", *options])
        assert answer.exit_code == 2, options
        assert answer.stderr.startswith("s3fd: ")
        assert message in answer.stderr


def test_a_gallery_whose_vectors_are_damaged_is_not_served(home: Home, tmp_path: Path) -> None:
    damaged = tmp_path / "g.db"
    recogniser = open_recogniser(home.recogniser, 1)
    with create_store(damaged, recogniser.model) as store:
        size = (400, recogniser.model.dimension)
        vectors = normalise(np.random.default_rng(0).normal(size=size).astype(np.float32))
        store.add("Ada", vectors, ["ada.jpg"] * len(vectors))
    whole = bytearray(damaged.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096] = bytes(4096)
    damaged.write_bytes(whole)
    options = ("--port", "0", "--gallery", str(damaged), "--recogniser", str(home.recogniser))
    answer = CliRunner().invoke(app, options)
    assert answer.exit_code == 2
    assert answer.stderr == f"s3fd: {damaged}: database disk image is malformed\n"


def test_a_service_that_does_not_come_up_ends_with_the_code_for_that(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(self: Keeper) -> None:
        raise OSError("the server went away")

    monkeypatch.setattr(Keeper, "begin", lost)
    monkeypatch.setattr("s3fd.serving.server.leave_signals_to_server", lambda: None)
    answer = CliRunner().invoke(app, ["--port", "0", *home.options])
    assert answer.exit_code == 2
