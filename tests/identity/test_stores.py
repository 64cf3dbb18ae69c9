"""What every store does alike: a file, and a PostgreSQL server with pgvector that the test starts."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from s3fd.identity import galleries
from s3fd.identity.recogniser import Model
from s3fd.identity.store import Calibration, GalleryError, GalleryUnavailable, Match
from s3fd.identity.vectors import normalise

MODEL = Model("test", "0" * 64, 8)

COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"


def unit(seed: int, count: int) -> np.ndarray:
    """Random vectors of length 1."""
    return normalise(np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32))


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new gallery can go: a file, or a schema of its own in the server."""
    if request.param == "file":
        return str(tmp_path / "g.db")
    server: Callable[[], str] = request.getfixturevalue("postgres")
    return server()


@pytest.fixture
def gallery(place: str) -> Iterator[str]:
    """An empty gallery."""
    galleries.create(place, MODEL).close()
    return place


def test_search_finds_the_best_vector_of_each_person(gallery: str) -> None:
    people = {name: unit(seed, 5) for seed, name in enumerate("abcdef")}
    with galleries.open_gallery(gallery, MODEL) as store:
        for name, vectors in people.items():
            store.add(name, vectors[:2], ["1.jpg", "2.jpg"])
            store.add(name, vectors[2:], ["3.jpg"] * 3)
        assert store.people() == dict.fromkeys("abcdef", 5)
        probe = unit(99, 1)[0]
        best = {name: float((vectors @ probe).max()) for name, vectors in people.items()}
        found = store.search(probe, 4)
        assert [match.name for match in found] == sorted(best, key=lambda name: -best[name])[:4]
        assert [match.score for match in found] == pytest.approx(sorted(best.values())[::-1][:4], abs=1e-6)
        assert len(store.search(probe, 99)) == 6 and store.search(probe, 0) == []
        with pytest.raises(ValueError, match="8 numbers"):
            store.search(probe[:4])


def test_what_was_added_is_there_when_it_is_opened_again(gallery: str) -> None:
    vectors = unit(0, 3)
    with galleries.open_gallery(gallery) as store:
        assert store.calibration is None and store.search(vectors[0]) == []
        store.add("Ada 'Lovelace'", vectors, ["a", "b", "c"])
        store.calibrate(Calibration(0.5, 0.4, 0.01, 100, 3))
        store.calibrate(Calibration(0.6, 0.4, 0.01, 100, 3))
    assert galleries.exists(gallery)
    with galleries.open_gallery(gallery) as store:
        assert store.model == MODEL
        np.testing.assert_array_equal(store.vectors_of("Ada 'Lovelace'"), vectors)
        assert store.calibration == Calibration(0.6, 0.4, 0.01, 100, 3)


def test_what_a_person_already_has_is_not_added_again(gallery: str) -> None:
    vectors = unit(0, 3)
    nearly = normalise(vectors + np.float32(1e-6))
    with galleries.open_gallery(gallery) as store:
        assert store.add(COMPOSED, vectors[[0, 1, 0]], ["a", "b", "a again"]) == 2
        assert store.add(DECOMPOSED, nearly, ["a", "b", "c"]) == 1
        assert store.add("Ada", vectors[:1], ["a"]) == 1  # somebody else
        assert store.people() == {"Ada": 1, COMPOSED: 3}
        assert store.add("Ada", vectors[:1], ["a"]) == 0
        assert store.add("Ada", normalise(vectors[:1] + np.float32(1e-3)), ["a"]) == 1


def test_of_many_that_add_the_same_one_does(gallery: str) -> None:
    def add(_: int) -> int:
        with galleries.open_gallery(gallery) as store:
            return store.add("Ada", unit(0, 2), ["a", "b"])

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(8))) == [0] * 7 + [2]


def test_a_search_sees_what_another_connection_has_changed(gallery: str) -> None:
    vectors = unit(0, 2)
    with galleries.open_gallery(gallery) as one, galleries.open_gallery(gallery) as other:
        assert one.search(vectors[0]) == []
        other.add("Ada", vectors[:1], ["a.jpg"])
        assert one.search(vectors[0]) == [Match("Ada", pytest.approx(1))]
        assert other.remove("Ada") == 1
        assert one.search(vectors[0]) == [] and one.people() == {}


def test_a_name_is_the_same_in_any_spelling(gallery: str) -> None:
    vectors = unit(0, 2)
    with galleries.open_gallery(gallery) as store:
        store.add(DECOMPOSED, vectors[:1], ["a.jpg"])
        store.add(COMPOSED, vectors[1:], ["b.jpg"])
        assert store.people() == {COMPOSED: 2}
        np.testing.assert_array_equal(store.vectors_of(DECOMPOSED), vectors)
        assert store.remove(DECOMPOSED) == 2 and store.people() == {}


def test_who_was_once_added_in_two_spellings_is_removed_in_both(
    gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = unit(0, 2)
    with galleries.open_gallery(gallery) as store:
        with monkeypatch.context() as patch:
            patch.setattr(f"{type(store).__module__}.composed", lambda name: name)
            store.add(DECOMPOSED, vectors[:1], ["a.jpg"])
        assert store.people() == {DECOMPOSED: 1}
        np.testing.assert_array_equal(store.vectors_of(COMPOSED), vectors[:1])
        store.add(COMPOSED, vectors[1:], ["b.jpg"])
        np.testing.assert_array_equal(store.vectors_of(COMPOSED), vectors)
        assert store.remove(COMPOSED) == 2 and store.people() == {}


def test_requests_that_cannot_be_met_change_nothing(gallery: str) -> None:
    with galleries.open_gallery(gallery) as store:
        for vectors in (unit(0, 2)[:, :4], unit(0, 2) * 2, unit(0, 3)):
            with pytest.raises(ValueError, match=r"expected|length"):
                store.add("Ada", vectors, ["a.jpg", "b.jpg"])
        with pytest.raises(GalleryError, match="needs a name"):
            store.add(" ", unit(0, 1), ["a.jpg"])
        for ask in (store.remove, store.vectors_of):
            with pytest.raises(GalleryError, match="nobody in this gallery is called 'Ada'"):
                ask("Ada")
        assert store.add("Ada", unit(0, 0), []) == 0
        with pytest.raises(GalleryError, match="nobody in this gallery is called 'Ada'"):
            store.vectors_of("Ada")
        assert store.people() == {}


def test_a_gallery_is_of_one_model_and_never_replaced(gallery: str) -> None:
    with pytest.raises(GalleryError, match="cannot be compared"):
        galleries.open_gallery(gallery, Model("other", "1" * 64, 8))
    with pytest.raises((GalleryError, FileExistsError)):
        galleries.create(gallery, MODEL)


def test_where_there_is_none(place: str) -> None:
    assert not galleries.exists(place)
    with pytest.raises((GalleryError, FileNotFoundError), match=r"no such gallery|no gallery"):
        galleries.open_gallery(place)


def test_a_server_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(GalleryUnavailable, match=r"^PostgreSQL: ") as told:
        galleries.open_gallery(f"postgresql://me:secret@/people?host={quote(str(tmp_path))}")
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://me:secret@db.example:5433/people", "PostgreSQL database people on db.example:5433"),
        ("postgres://me:se%2Fcr%40et@db.example/people", "PostgreSQL database people on db.example"),
        ("postgresql://me:se?cret#@db.example/people", "PostgreSQL database people on db.example"),
        (
            "postgresql://db.example/people?user=me&password=secret",
            "PostgreSQL database people on db.example",
        ),
        ("postgresql:///people?host=/run/pg", "PostgreSQL database people on /run/pg"),
        ("postgresql://", "PostgreSQL database"),
        (str(Path("folder") / "people.db"), str(Path("folder") / "people.db")),
    ],
)
def test_a_place_is_told_without_its_password(url: str, told: str) -> None:
    pytest.importorskip("psycopg")
    assert galleries.shown(url) == told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se@cret@db.example/people",
        "postgresql://me:secret/secret@db.example/people",
        "postgresql://me:12/secret@db.example/people",
        "postgresql://me:secret%@db.example/people",
        "postgresql://me:x@secret/secret@db.example/people",
        "postgresql://me@corp:secret@db.example/people",
        "postgresql://me:secret",
        "postgresql://me@db.example/people?passwort=secret",
        "postgresql://me@db.example/people?secret",
    ],
)
def test_a_url_that_is_mistaken_is_not_repeated(url: str) -> None:
    pytest.importorskip("psycopg")
    for use in (galleries.open_gallery, galleries.exists, galleries.shown):
        with pytest.raises(GalleryError, match="not a valid database URL") as refused:
            use(url)
        everything = "".join(traceback.format_exception(refused.value))
        assert not any(part in everything.partition("GalleryError:")[2] for part in ("secret", "cret"))


def test_a_lost_gallery_is_noticed(gallery: str, request: pytest.FixtureRequest) -> None:
    with galleries.open_gallery(gallery) as store:
        store.check()
        if galleries.is_server(gallery):
            request.getfixturevalue("postgres").execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 's3fd'"
            )
            lost: type[OSError] = GalleryUnavailable
        else:
            Path(gallery).unlink()
            lost = FileNotFoundError
        with pytest.raises(lost):
            store.check()


def test_what_postgresql_cannot_keep_is_no_failure(postgres: Callable[[], str]) -> None:
    place = postgres()
    galleries.create(place, MODEL).close()
    with galleries.open_gallery(place) as store:
        store.add("Ada", unit(0, 1), ["a\0b.jpg"])
        with pytest.raises(GalleryError, match="nobody in this gallery"):
            store.remove("Ada\0")
        assert store.people() == {"Ada": 1}


def test_nothing_of_a_removed_person_stays_in_the_tables(postgres: Callable[[], str]) -> None:
    psycopg = pytest.importorskip("psycopg")
    place = postgres()
    galleries.create(place, MODEL).close()
    with galleries.open_gallery(place) as store:
        store.add("Kept Person", unit(0, 3), ["k"] * 3)
        store.add("Gone Person", unit(1, 3), ["gone"] * 3)
        store.remove("Gone Person")
    with psycopg.connect(place, autocommit=True) as server:
        server.execute("CHECKPOINT")
        (data,) = server.execute("SHOW data_directory").fetchone()
        for table in ("s3fd_person", "s3fd_vector"):
            (path,) = server.execute("SELECT pg_relation_filepath(%s::regclass)", (table,)).fetchone()
            held = (Path(data) / path).read_bytes()
            assert b"Gone" not in held and b"gone" not in held
            assert table == "s3fd_vector" or b"Kept Person" in held
            assert table == "s3fd_person" or unit(0, 1).astype("<f4").tobytes() in held
            assert unit(1, 1).astype("<f4").tobytes() not in held


def test_a_removal_does_not_wait_for_another_transaction(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr("s3fd.identity.postgres_store.LOCKED", "200ms")
    place = postgres()
    galleries.create(place, MODEL).close()
    with galleries.open_gallery(place) as store, psycopg.connect(place) as other:
        store.add("Ada", unit(0, 2), ["x"] * 2)
        store.add("Bob", unit(1, 2), ["x"] * 2)
        other.execute("SELECT count(*) FROM s3fd_vector").fetchone()  # its transaction stays open
        assert store.remove("Ada") == 2
        assert "the person was removed, but the database could not be rewritten" in caplog.text
        assert store.people() == {"Bob": 2}


def test_a_statement_that_waits_too_long_is_unavailable(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr("s3fd.identity.postgres_store.LOCKED", "200ms")
    place = postgres()
    galleries.create(place, MODEL).close()
    with galleries.open_gallery(place) as store, psycopg.connect(place) as other:
        other.execute("LOCK TABLE s3fd_vector IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(GalleryUnavailable, match="lock timeout"):
            store.people()


def test_of_many_that_need_a_gallery_one_makes_it_and_all_open_it(place: str) -> None:
    def need(_: int) -> int:
        galleries.ensure(place, MODEL)
        with galleries.open_gallery(place, MODEL) as store:
            return len(store.people())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(need, range(16))) == [0] * 16


def test_a_gallery_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        galleries.ensure(str(tmp_path / "no folder" / "g.db"), MODEL)
