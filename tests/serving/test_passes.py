"""Pictures of several threads in one pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from serving.conftest import running

from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Picture, load
from s3fd.inference.runtime import open_runtime
from s3fd.serving import passes
from s3fd.serving.passes import Passes


class Counting:
    """A network that notes how many pictures each pass has, and can fail."""

    engine, device, embedding = "onnx", "cpu", None

    def __init__(self) -> None:
        self._runtime = open_runtime("slim", 1)
        self.classes = self._runtime.classes
        self.passes: list[int] = []
        self.broken = False

    def __call__(self, pictures: Any, attributes: Sequence[str] = ()) -> Any:
        self.passes.append(len(pictures))
        if self.broken:
            raise RuntimeError("the network broke")
        return self._runtime(pictures, attributes)


@pytest.fixture
def network() -> Counting:
    return Counting()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pictures wait until their pass is full, however slow the machine is."""
    monkeypatch.setattr(passes, "LINGER", 20)


def together(calls: Sequence[Callable[[], Faces]]) -> list[Faces]:
    """Make calls at the same time, each in a thread."""
    start = threading.Barrier(len(calls))

    def one(call: Callable[[], Faces]) -> Faces:
        start.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def same(one: Faces, other: Faces) -> None:
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_threads_share_a_pass_and_each_gets_its_own_faces(network: Counting, example: Path) -> None:
    detector = Detector(network, size=640, min_score=0.3)
    picture = load(example)
    views = [
        Picture(np.ascontiguousarray(np.roll(picture.pixels, 40 * i, axis=1)), 512, 512) for i in range(4)
    ]
    alone = [detector.find(view) for view in views]
    network.passes.clear()
    shared = Passes(4)
    found = together([lambda view=view: shared.find(detector, view) for view in views])  # type: ignore[misc]
    assert network.passes == [4]
    for one, other in zip(found, alone, strict=True):
        same(one, other)
    assert len({tuple(faces.boxes[0].round(1)) for faces in found}) == 4


def test_only_pictures_of_one_kind_share_a_pass(
    network: Counting, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "LINGER", 0.2)
    detector = Detector(network, size=640)
    picture = load(example)
    wide = Picture(np.ascontiguousarray(picture.pixels[:256]), 512, 256)
    shared = Passes(8)
    calls = [(detector, picture), (replace(detector, min_score=0.9), picture), (detector, wide)]
    calls.append((replace(detector, size="auto"), picture))
    found = together([lambda one=one, p=p: shared.find(one, p) for one, p in calls])  # type: ignore[misc]
    assert set(network.passes) == {1}
    for faces, (one, view) in zip(found, calls, strict=True):
        same(faces, one.find(view))


def test_who_comes_late_begins_the_next_pass(network: Counting, example: Path) -> None:
    detector, picture = Detector(network, size=640), load(example)
    shared = Passes(2)
    found = together([lambda: shared.find(detector, picture) for _ in range(6)])
    assert network.passes == [2, 2, 2]
    assert len(found) == 6


def test_a_picture_alone_waits_a_moment_and_no_longer(
    network: Counting, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "LINGER", 0.01)
    detector, picture = Detector(network, size=640), load(example)
    shared = Passes(64)
    for _ in range(2):
        same(shared.find(detector, picture), detector.find(picture))
    assert network.passes == [1, 1, 1, 1]


def test_a_pass_that_fails_fails_for_all_in_it_and_for_nobody_else(network: Counting, example: Path) -> None:
    detector, picture = Detector(network, size=640), load(example)
    shared = Passes(3)
    network.broken = True

    def failing() -> Faces:
        with pytest.raises(RuntimeError, match="the network broke"):
            shared.find(detector, picture)
        return Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    together([failing] * 3)
    network.broken = False
    found = together([lambda: shared.find(detector, picture)] * 3)
    assert network.passes == [3, 3]
    assert all(len(faces) == 1 for faces in found)


def test_a_batch_has_a_picture_at_least() -> None:
    with pytest.raises(ValueError, match="batch must be 1 or more"):
        Passes(0)


def test_requests_that_share_passes_get_what_they_got_alone(network: Counting, example: Path) -> None:
    data = example.read_bytes()

    def post(url: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{url}/v1/detect",
            content=data,
            headers={"Content-Type": "image/jpeg"},
            params={"attributes": "gender", "size": 640},
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == 200
        return dict(answer.json())

    with running(open_runtime("slim", 1)) as url:
        alone = post(url)
    with running(network, workers=4, batch=4) as url, ThreadPoolExecutor(4) as pool:
        network.passes.clear()
        answers = [one.result() for one in [pool.submit(post, url) for _ in range(4)]]
    assert network.passes == [4]
    for answer in answers:
        (face,), (other,) = (one["pictures"][0]["faces"] for one in (answer, alone))
        assert face["box"] == pytest.approx(other["box"], abs=0.1)
        assert face["score"] == pytest.approx(other["score"], abs=1e-3)
        assert face["gender"] == other["gender"]
