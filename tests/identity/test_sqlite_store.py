from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.identity import sqlite_store
from s3fd.identity.calibration import calibrate
from s3fd.identity.recogniser import Model
from s3fd.identity.sqlite_store import SqliteStore, create_store, open_store
from s3fd.identity.store import Calibration, GalleryError, GalleryUnavailable, Match, check_model
from s3fd.identity.vectors import normalise

MODEL = Model("test", "0" * 64, 8)


def unit(seed: int, count: int, dimension: int = 8) -> np.ndarray:
    """Random vectors of length 1."""
    return normalise(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def sources(vectors: np.ndarray) -> list[str]:
    return [f"{i}.jpg" for i in range(len(vectors))]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 4)), max_size=8), st.integers(1, 7))
def test_search_is_exact(tmp_path_factory: pytest.TempPathFactory, added: list, count: int) -> None:
    everyone: dict[str, list[np.ndarray]] = {}
    with create_store(tmp_path_factory.mktemp("gallery") / "g.db", MODEL) as store:
        for seed, (name, number) in enumerate(added):
            vectors = unit(seed, number)
            store.add(name, vectors, sources(vectors))
            everyone.setdefault(name, []).extend(vectors)
            assert store.people() == {n: len(v) for n, v in sorted(everyone.items())}
        probe = unit(99, 1)[0]
        best = {name: max(float(v @ probe) for v in vectors) for name, vectors in everyone.items()}
        found = store.search(probe, count)
        ranked = sorted(best, key=lambda name: -best[name])[:count]
        assert [match.name for match in found] == ranked
        assert [match.score for match in found] == pytest.approx([best[name] for name in ranked], abs=1e-6)


def test_what_was_added_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    vectors = unit(0, 3)
    with create_store(tmp_path / "g.db", MODEL) as store:
        store.add("Ada", vectors, sources(vectors))
        store.calibrate(Calibration(0.5, 0.4, 0.01, 100, 3))
    with open_store(tmp_path / "g.db") as store:
        assert store.model == MODEL
        np.testing.assert_array_equal(store.vectors_of("Ada"), vectors)
        assert store.calibration == Calibration(0.5, 0.4, 0.01, 100, 3)


def test_a_search_sees_what_another_process_has_changed(tmp_path: Path) -> None:
    vectors = unit(0, 2)
    with create_store(tmp_path / "g.db", MODEL) as one, open_store(tmp_path / "g.db") as other:
        assert one.search(vectors[0]) == []
        other.add("Ada", vectors[:1], ["a.jpg"])
        assert one.search(vectors[0]) == [Match("Ada", pytest.approx(1))]
        other.remove("Ada")
        assert one.search(vectors[0]) == []


def test_who_is_removed_leaves_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    kept, gone = unit(0, 50), unit(1, 50)
    with create_store(path, MODEL) as store:
        store.add("Kept Person", kept, sources(kept))
        store.add("Gone Person", gone, [f"gone/{i}.jpg" for i in range(50)])
        before = path.read_bytes()
        assert all(v.tobytes() in before for v in gone) and b"Gone Person" in before
        assert store.remove("Gone Person") == 50
    after = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(v.tobytes() in after for v in gone)
    assert b"Gone Person" not in after and b"gone/" not in after
    assert all(v.tobytes() in after for v in kept)


def test_who_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    with create_store(tmp_path / "g.db", MODEL) as store, pytest.raises(GalleryError, match="nobody"):
        store.remove("Ada")


@pytest.mark.parametrize("vectors", [unit(0, 2)[:, :4], unit(0, 2) * 2, unit(0, 3)])
def test_vectors_that_cannot_be_are_refused_as_a_whole(tmp_path: Path, vectors: np.ndarray) -> None:
    with create_store(tmp_path / "g.db", MODEL) as store:
        with pytest.raises(ValueError, match=r"expected|length"):
            store.add("Ada", vectors, ["a.jpg", "b.jpg"])
        assert store.people() == {}


def test_a_gallery_refuses_another_models_vectors(tmp_path: Path) -> None:
    with create_store(tmp_path / "g.db", MODEL) as store:
        check_model(store, Model("another name", MODEL.digest, 8))
        with pytest.raises(GalleryError, match="cannot be compared"):
            check_model(store, Model("test", "1" * 64, 8))


def test_a_gallery_is_its_owners_and_never_replaced(tmp_path: Path) -> None:
    create_store(tmp_path / "g.db", MODEL).close()
    assert (tmp_path / "g.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_store(tmp_path / "g.db", MODEL)
    assert [path.name for path in tmp_path.iterdir()] == ["g.db"]


def test_a_file_that_is_no_gallery_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but some text that is long enough " * 20)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE about (key, value)")
    other.close()
    for name in ("text.db", "other.db"):
        with pytest.raises(GalleryError, match="not a gallery"):
            open_store(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_store(tmp_path / "nothing.db")


def test_a_gallery_that_another_process_locks_is_told_from_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fd.identity.sqlite_store.BUSY_SECONDS", 0.01)
    create_store(tmp_path / "g.db", MODEL).close()
    with closing(sqlite3.connect(tmp_path / "g.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(GalleryUnavailable, match="another process has locked it"):
            open_store(tmp_path / "g.db")
    open_store(tmp_path / "g.db").close()


def test_of_many_threads_that_make_a_gallery_one_does(tmp_path: Path) -> None:
    def make(_: int) -> bool:
        try:
            create_store(tmp_path / "g.db", MODEL).close()
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(16))) == 1
    open_store(tmp_path / "g.db").close()
    assert [path.name for path in tmp_path.iterdir()] == ["g.db"]


@pytest.mark.parametrize(
    "asked",
    [
        lambda store: store.add("b", unit(1, 1), ["1.jpg"]),
        lambda store: store.remove("a"),
        lambda store: store.people(),
        lambda store: store.vectors_of("a"),
        lambda store: store.search(unit(0, 1)[0]),
        lambda store: store.calibration,
        lambda store: store.calibrate(Calibration(0.5, 0.5, 0.01, 100, 1)),
    ],
)
def test_an_open_gallery_that_another_process_locks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Callable[[SqliteStore], object]
) -> None:
    monkeypatch.setattr("s3fd.identity.sqlite_store.BUSY_SECONDS", 0.01)
    with create_store(tmp_path / "g.db", MODEL) as store:
        store.add("a", unit(0, 1), ["0.jpg"])
        with closing(sqlite3.connect(tmp_path / "g.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(GalleryUnavailable, match=r"g\.db: another process has locked it"):
                asked(store)
        asked(store)  # once it is free


ADDING = """
import sys, numpy as np
from s3fd.identity.sqlite_store import open_store
rng = np.random.default_rng(int(sys.argv[2]))
with open_store(sys.argv[1]) as store:
    for i in range(100000):
        vectors = rng.normal(size=(5, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.add(f"person {sys.argv[2]} {i}", vectors, ["x"] * 5)
        print(i, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_nothing_that_was_added_is_lost_or_halved_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    create_store(path, MODEL).close()
    promised = set()
    rng = np.random.default_rng(0)
    for run in range(5):
        adding = subprocess.Popen(
            [sys.executable, "-c", ADDING, path, str(run)], stdout=subprocess.PIPE, text=True
        )
        assert adding.stdout is not None
        seen = [adding.stdout.readline()]
        time.sleep(rng.uniform(0, 0.05))
        adding.send_signal(signal.SIGKILL)
        seen += adding.stdout.readlines()
        adding.stdout.close()
        adding.wait()
        promised |= {f"person {run} {line.strip()}" for line in seen if line.endswith("\n")}
    with open_store(path) as store:
        people = store.people()
        assert promised and promised <= set(people)
        assert set(people.values()) == {5}
    with sqlite3.connect(path) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_thresholds_come_from_strangers(tmp_path: Path) -> None:
    members, strangers = unit(0, 10), unit(1, 200)
    with create_store(tmp_path / "g.db", MODEL) as store:
        for i, vector in enumerate(members):
            store.add(f"member {i}", vector[None], ["x"])
        fitted = calibrate(store, {f"stranger {i}": v[None] for i, v in enumerate(strangers)}, 0.05)
        best = np.array([store.search(v)[0].score for v in strangers])
        assert (best >= fitted.identify).sum() == 10  # a twentieth of 200
        pairs = (strangers @ strangers.T)[np.triu_indices(200, 1)]
        assert (pairs >= fitted.verify).mean() == pytest.approx(0.05, abs=1e-3)
        with pytest.raises(GalleryError, match="is in the gallery"):
            calibrate(store, {"member 3": members[3:4]}, 0.05)
        store.add("Jos\u00e9", members[:1], ["x"])
        with pytest.raises(GalleryError, match="is in the gallery"):
            calibrate(store, {"Jose\u0301": members[:1]}, 0.05)


def test_an_empty_gallery_has_no_thresholds(tmp_path: Path) -> None:
    with create_store(tmp_path / "g.db", MODEL) as store, pytest.raises(GalleryError, match="add people"):
        calibrate(store, {"stranger": unit(0, 100)}, 0.05)


def test_a_file_in_the_place_of_the_one_that_was_opened_is_noticed(tmp_path: Path) -> None:
    create_store(tmp_path / "earlier.db", MODEL).close()
    with create_store(tmp_path / "g.db", MODEL) as store:
        store.add("Ada", unit(0, 1), ["a.jpg"])
        store.remove("Ada")  # rewrites the file, which stays the same
        store.check()
        (tmp_path / "earlier.db").replace(tmp_path / "g.db")
        with pytest.raises(GalleryUnavailable, match="it was replaced by another file"):
            store.check()


def test_a_removal_that_cannot_rewrite_the_file_still_erases_and_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "g.db"
    with create_store(path, MODEL) as store:
        store.add("Kept Person", unit(0, 3), ["k"] * 3)
        store.add("Gone Person", unit(1, 3), ["gone"] * 3)
        unfinished = store._connection.execute("SELECT 1 UNION ALL SELECT 2")
        next(unfinished)  # lets no VACUUM begin
        assert store.remove("Gone Person") == 3
        unfinished.close()
        assert store.people() == {"Kept Person": 3}
    assert "the person was removed, but" in caplog.text and str(path) in caplog.text
    held = path.read_bytes()
    assert b"Gone" not in held and b"gone" not in held and unit(1, 3)[0].astype("<f4").tobytes() not in held


@pytest.mark.parametrize("value", ["", "{", "[1]", '{"name": "x"}', '{"other": 1}'])
def test_a_damaged_description_is_told(tmp_path: Path, value: str) -> None:
    path = tmp_path / "g.db"
    with create_store(path, MODEL) as store:
        store.calibrate(Calibration(0.5, 0.5, 0.01, 100, 1))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE about SET value = ? WHERE key = 'calibration'", (value,))
        with pytest.raises(GalleryError, match="the gallery is damaged: Calibration"):
            _ = store.calibration
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE about SET value = ? WHERE key = 'model'", (value,))
    with pytest.raises(GalleryError, match="the gallery is damaged: Model"):
        open_store(path)


def test_a_damaged_page_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with create_store(path, MODEL) as store:
        store.add("a", unit(0, 300), ["x"] * 300)
    whole = bytearray(path.read_bytes())
    whole[4096 * 2 :] = b"\xff" * (len(whole) - 4096 * 2)
    path.write_bytes(whole)
    with open_store(path) as store, pytest.raises(GalleryUnavailable, match=r"g\.db: .*malformed"):
        store.people()


def test_whatever_keeps_the_file_from_being_rewritten_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def no_other_file(action: int, *what: object) -> int:
        return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK

    with create_store(tmp_path / "g.db", MODEL) as store:
        store.add("Ada", unit(0, 3), ["x"] * 3)
        store._connection.set_authorizer(no_other_file)  # VACUUM writes to one
        assert store.remove("Ada") == 3
        assert store.people() == {}
    assert "could not be rewritten without them: authorization denied" in caplog.text


def test_a_gallery_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "missing" / "g.db"
    with pytest.raises(FileNotFoundError, match=re.escape(f": {str(path)!r}")):
        create_store(path, MODEL)

    def full(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite_store, "_prepare", full)
    path = tmp_path / "g.db"
    with pytest.raises(GalleryUnavailable, match=re.escape(f"{path}: database or disk is full")):
        create_store(path, MODEL)
    assert not list(tmp_path.iterdir())
