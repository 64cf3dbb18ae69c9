"""A run is the same wherever its pictures lie: in a folder, in shards, or at a URL."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
import torch
import yaml
from square_run import curve, run, settings
from typer.testing import CliRunner

from s3fd.cli.train import app
from s3fd.data import shards
from s3fd.data.location import Location, locate
from s3fd.training import loop
from s3fd.training.config import TrainConfig
from s3fd.training.processes import Processes
from s3fd.weights.network_file import load_network

SHARDS = [{"format": "shards", "images": "shards/{000000..000002}.tar"}]
BRIEF = {"steps": 4, "checkpoint_every": 2, "pictures_every": 9}


@pytest.fixture(scope="module")
def places(squares: Path) -> Iterator[Path]:
    """The squares, with shards of them, and all of it at memory://squares too."""
    samples, _ = loop.read_data(TrainConfig.model_validate(settings()).data, squares)
    shards.write(samples, squares / "shards", 5)
    memory = fsspec.filesystem("memory")
    memory.put(str(squares), "/squares", recursive=True)
    yield squares
    memory.rm("/squares", recursive=True)


@pytest.fixture(scope="module")
def plain(places: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the folder of squares."""
    folder = tmp_path_factory.mktemp("plain")
    run(places, folder, **BRIEF)
    return folder


class Ranges(SimpleHTTPRequestHandler):
    """Serves files, and parts of them where it is asked for one."""

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        file = Path(self.translate_path(self.path))
        if wanted is None or not file.is_file():
            super().do_GET()
            return
        data, (first, last) = file.read_bytes(), map(int, wanted.groups())
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}")
        self.send_header("Content-Length", str(len(data[first : last + 1])))
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(places: Path) -> Iterator[str]:
    """The URL of the squares on a server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(places))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def assert_same(folder: Path, plain: Path) -> None:
    assert curve(folder) == curve(plain)
    one, two = (load_network(f / "weights.safetensors").state_dict() for f in (folder, plain))
    assert all(torch.equal(one[name], tensor) for name, tensor in two.items())


@pytest.mark.parametrize("root", ["folder", "memory://squares"])
def test_a_run_on_shards_is_the_run_on_the_folder(
    root: str, places: Path, plain: Path, tmp_path: Path
) -> None:
    run(places if root == "folder" else locate(root), tmp_path, data=SHARDS, **BRIEF)
    assert_same(tmp_path, plain)


def test_a_run_at_a_url_is_the_run_on_the_folder(places: Path, plain: Path, tmp_path: Path) -> None:
    run(locate("memory://squares"), tmp_path, **BRIEF)
    assert_same(tmp_path, plain)


def test_a_run_on_shards_goes_on_where_it_was_stopped(places: Path, plain: Path, tmp_path: Path) -> None:
    config = TrainConfig.model_validate(settings(data=SHARDS, **BRIEF))
    samples, _ = loop.read_data(config.data, places)

    def stop(step: int, figures: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(config, samples, tmp_path, on_step=stop)
    assert len(curve(tmp_path)) == 3
    run(places, tmp_path, data=SHARDS, **BRIEF)
    assert_same(tmp_path, plain)


def test_several_processes_see_every_picture_once_an_epoch(places: Path) -> None:
    config = TrainConfig.model_validate(settings(data=SHARDS, batch=4, steps=6))
    seen: list[list[str]] = [[], []]
    for rank in range(2):
        samples, _ = loop.read_data(config.data, places)  # as each process does for itself
        for step, batch in enumerate(loop.batches(config, samples, [], 0, Processes(rank, 2))):
            seen[step // 3] += batch.names
    every = {f"{places}/shards/{i // 5:06}.tar/{i:09}.png" for i in range(12)}
    for epoch in seen:
        assert len(epoch) == 12 and set(epoch) == every
    assert seen[0] != seen[1]


def test_the_command_reads_urls_in_its_workers(served: str, places: Path, tmp_path: Path) -> None:
    """A connection of the process that started the workers is of no use to them."""
    data = [*SHARDS, {"format": "wider", "images": served, "annotations": "gt.txt"}]
    run(places, tmp_path / "plain", data=[*SHARDS, *settings()["data"]], **BRIEF)
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(data=data, workers=2, **BRIEF)))
    place = ["--data", served, "--out", str(tmp_path / "run"), "--device", "cpu"]
    done = CliRunner().invoke(app, [str(config), *place], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "24 pictures, 24 faces" in done.stderr
    assert_same(tmp_path / "run", tmp_path / "plain")


def test_the_command_names_what_cannot_be_read(places: Path, tmp_path: Path) -> None:
    def told(data: list[dict[str, str]], root: Location | str) -> str:
        config = tmp_path / "run.yaml"
        config.write_text(yaml.safe_dump(settings(data=data, **BRIEF)))
        done = CliRunner().invoke(app, [str(config), "--data", str(root), "--out", str(tmp_path / "run")])
        assert done.exit_code == 2, done.output
        return done.stderr

    assert "memory://nowhere does not exist" in told(settings()["data"], "memory://nowhere")
    assert "'nowhere'" in told(SHARDS, "nowhere://x")
    assert "000003.tar does not exist" in told(
        [{**SHARDS[0], "images": "shards/{000001..000003}.tar"}], places
    )
    damaged = (places / "shards" / "000001.tar").read_bytes()[:5000]
    (tmp_path / "x.tar").write_bytes(damaged)
    assert f"{tmp_path}/x.tar: not a complete uncompressed tar" in told(
        [{"format": "shards", "images": "x.tar"}], tmp_path
    )
    assert "127.0.0.1:9" in told(SHARDS, "http://127.0.0.1:9/sets")  # nothing listens there
    assert "needs `annotations`" in told([{"format": "voc", "images": "."}], places)


def test_labelled_faces_are_not_read_from_a_url(places: Path) -> None:
    composed = {"images": ".", "annotations": "shades.csv"}
    attributes = [{"name": "light", "target": "shade:dark,bright"}]
    config = TrainConfig.model_validate(settings(composed=composed, attributes=attributes))
    with pytest.raises(ValueError, match="absolute paths"):
        loop.read_labelled(config, locate("memory://squares"))
