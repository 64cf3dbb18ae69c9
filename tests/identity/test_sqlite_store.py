from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from s3fd.identity.recogniser import Model, normalise
from s3fd.identity.sqlite_store import SqliteStore, create_store, open_store
from s3fd.identity.store import Calibration, GalleryError, check_model

MODEL = Model("test", "ab" * 32, 8)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return normalise(np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32))


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return create_store(tmp_path / "people.gallery", MODEL)


def test_search_is_exact(store: SqliteStore) -> None:
    everyone = vectors(60)
    for i in range(20):
        store.add(f"p{i}", everyone[i::20], ["a", "b", "c"])
    probe = vectors(1, seed=1)[0]
    best = {f"p{i}": float((everyone[i::20] @ probe).max()) for i in range(20)}
    ranked = sorted(best, key=lambda name: -best[name])
    for count in (1, 5, 20, 99):
        found = store.search(probe, count)
        assert [match.name for match in found] == ranked[:count]
        np.testing.assert_allclose([m.score for m in found], [best[n] for n in ranked[:count]], atol=1e-6)


def test_an_empty_gallery_knows_nobody(store: SqliteStore) -> None:
    assert store.search(vectors(1)[0]) == [] and store.people() == {} and store.calibration is None


def test_a_search_sees_what_others_changed(store: SqliteStore, tmp_path: Path) -> None:
    probe = vectors(1)[0]
    assert store.search(probe) == []
    with open_store(tmp_path / "people.gallery") as other:
        other.add("Ada", probe[None], ["a"])
        assert store.search(probe)[0].name == "Ada"
        other.remove("Ada")
    assert store.search(probe) == []


def test_what_is_kept_comes_back(store: SqliteStore, tmp_path: Path) -> None:
    store.add("Ada", vectors(2), ["a", "b"])
    store.add("Ada", vectors(1, seed=2), ["c"])
    thresholds = Calibration(0.5, 0.4, 0.01, 100, 3)
    store.calibrate(thresholds)
    store.close()
    with open_store(tmp_path / "people.gallery") as again:
        assert again.model == MODEL and again.people() == {"Ada": 3} and again.calibration == thresholds
        np.testing.assert_array_equal(again.vectors_of("Ada"), np.concatenate([vectors(2), vectors(1, 2)]))
    assert (tmp_path / "people.gallery").stat().st_mode & 0o077 == 0


def test_a_removed_person_leaves_no_byte(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    for i in range(300):
        store.add(f"person {i}", vectors(3, seed=i), ["x.jpg"] * 3)
    gone, kept = vectors(3, seed=150), vectors(3, seed=151)
    assert all(v.tobytes() in path.read_bytes() for v in (*gone, *kept))
    assert store.remove("person 150") == 3
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(v.tobytes() in files for v in gone) and b"person 150" not in files
    assert all(v.tobytes() in files for v in kept)
    with pytest.raises(GalleryError, match="nobody in this gallery is called 'person 150'"):
        store.remove("person 150")


def test_vectors_of_another_model_are_refused(store: SqliteStore) -> None:
    check_model(store, Model("renamed", MODEL.digest, 8))
    with pytest.raises(GalleryError, match=r"made by test \(abab.*other \(cdcd.* cannot be compared"):
        check_model(store, Model("other", "cd" * 32, 8))


@pytest.mark.parametrize("wrong", [np.ones((1, 8), np.float32), vectors(2), np.ones((1, 4), np.float32) / 2])
def test_vectors_that_do_not_fit_are_refused(store: SqliteStore, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"length 1|expected 1 × 8"):
        store.add("Ada", wrong, ["a"])
    assert store.people() == {}


def test_what_is_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such gallery"):
        open_store(tmp_path / "none")
    (tmp_path / "text").write_text("this is a text file, and a long one " * 100)
    with pytest.raises(GalleryError, match="not a gallery"):
        open_store(tmp_path / "text")
    create_store(tmp_path / "g", MODEL).close()
    with pytest.raises(FileExistsError):
        create_store(tmp_path / "g", MODEL)


WRITER = """
import sys
import numpy as np
from s3fd.identity.sqlite_store import open_store
store = open_store(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    vectors = np.eye(8, dtype=np.float32)[[number % 8] * 5]
    store.add(str(number), vectors, ["a"] * 5)
    print("added", number, flush=True)
    if number % 3 == 0:
        store.remove(str(number))
        print("removed", number, flush=True)
"""


def test_a_gallery_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    create_store(path, MODEL).close()
    random = np.random.default_rng(0)
    there: set[int] = set()
    number = 0
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline()]
            time.sleep(random.uniform(0.01, 0.3))
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.readlines()
        for line in said:
            what, who = line.split()
            number = int(who)
            there.add(number) if what == "added" else there.discard(number)
        with open_store(path) as store:
            assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            people = store.people()
        assert set(people.values()) == {5} or not people  # all vectors of an add, or none
        # What was reported is there; what was under way when the process died, either way.
        unsure = {number, number + 1}
        assert {int(name) for name in people} - unsure == there - unsure
        there, number = {int(name) for name in people}, number + 1
    assert number > 16
