"""The gallery by the vectors of the network's own embedding, in the pass that finds the faces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from serving.conftest import Process, running
from serving.home import Home
from typer.testing import CliRunner

from s3fd.cli import app
from s3fd.identity import galleries
from s3fd.identity.own_recogniser import own_recogniser
from s3fd.inference.runtime import BUNDLED, open_runtime
from s3fd.network.embedding import Embedding
from s3fd.serving.client import Client
from s3fd.serving.keeper import Gallery
from s3fd.weights.network_file import load_network, save_network

THRESHOLD = 0.999
"""What untrained vectors say means little: the same pictures get the same answers."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled detector with an embedding that nobody has taught."""
    torch.manual_seed(0)
    network = load_network(BUNDLED / "slim.safetensors")
    network.embed(Embedding(dimension=8, layers=(2, 3, 4), width=16, depth=2))
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_network(network, "slim", path)
    return path


@pytest.fixture(scope="module")
def service(home: Home, weights: Path) -> Iterator[Process]:
    process = Process("--gallery", str(home.gallery), "--weights", str(weights), "--deadline", "60")
    yield process
    assert process.process.poll() is None, "a request took the service down"
    process.stop()
    assert "Traceback" not in "".join(process.lines)


def cli(*arguments: object) -> list[Any]:
    done = CliRunner().invoke(app, ["gallery", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_answers_are_those_of_the_command_line(service: Process, home: Home, weights: Path) -> None:
    with Client(service.url) as client:
        client.gallery.enrol("Ada", home.ada)
        faces = client.detect(home.both).faces
        assert faces is not None
        client.gallery.enrol("Rosa", home.both, box=faces.boxes[faces.boxes[:, 0].argmax()])
        card = client.gallery.card()
        assert (card.model, card.vectors) == ("own", 2)
    pictures = [home.ada, home.both]
    options = ("--weights", weights, "--threshold", THRESHOLD)
    lines = cli("identify", home.gallery, *pictures, *options)
    assert lines[0]["faces"][0]["name"] == "Ada" and lines[0]["faces"][0]["score"] == 1
    assert "Rosa" in {face["name"] for face in lines[1]["faces"]}
    sent = [("files", (str(file), file.read_bytes())) for file in pictures]
    ask = {"files": sent, "params": {"threshold": THRESHOLD}, "timeout": 60, "trust_env": False}
    answer = httpx.post(f"{service.url}/v1/gallery/identify", **ask)  # type: ignore[arg-type]
    told = [
        {"path": one["path"], "faces": [{"box": face["box"], **face["identity"]} for face in one["faces"]]}
        for one in answer.json()["pictures"]
    ]
    assert told == lines


class Counted:
    """A runtime that notes what each pass was asked for."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self.engine, self.device, self.classes = runtime.engine, runtime.device, runtime.classes
        self.embedding = runtime.embedding
        self.passes: list[tuple[int, bool]] = []

    def __call__(self, pictures: Any, attributes: Sequence[str] = (), embedding: bool = False) -> Any:
        self.passes.append((len(pictures), embedding))
        return self._runtime(pictures, attributes, embedding)


def test_a_picture_takes_one_pass_and_vectors_only_where_they_are_wanted(home: Home, weights: Path) -> None:
    counted, place = Counted(open_runtime(weights, 1)), str(home.folder / "counted.db")
    recogniser = own_recogniser(counted, weights)
    galleries.create(place, recogniser.model).close()
    gallery = Gallery(lambda: galleries.open_gallery(place, recogniser.model), recogniser, embeddings=True)
    with running(counted, gallery=gallery) as url, Client(url) as client:
        counted.passes.clear()
        client.detect(home.ada, size=640)
        assert counted.passes == [(1, False)]
        client.gallery.enrol("Ada", home.ada, size=640)
        told = client.gallery.identify(home.both, size=640, threshold=THRESHOLD, attributes=["gender"])
        assert counted.passes[1:] == [(1, True)] * 2
        assert told.record.faces is not None and set(told.record.faces.attributes) >= {"gender"}
        assert len(told.identities) == 2


def test_weights_without_an_embedding_need_a_recogniser(home: Home) -> None:
    place = home.folder / "none.db"
    answer = CliRunner().invoke(app, ["serve", "--port", "0", "--gallery", str(place), "--weights", "slim"])
    assert answer.exit_code == 2
    assert answer.stderr == (
        "s3fd: slim has no embedding: pass a model with --recogniser, or use weights from `s3fd embed`\n"
    )
    assert not place.exists()
