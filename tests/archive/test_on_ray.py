"""A real cluster of Ray, one of whose machines dies in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s3fd.archive import on_ray
from s3fd.archive.manifest import Done, Recipe, open_archive
from s3fd.archive.storage import Folder
from s3fd.weights.digest import model_digest

pytest.importorskip("ray")
dataset = pytest.importorskip("pyarrow.dataset")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc"),
]

SOURCE = Path(__file__).parents[2] / "src"
PICTURES = 16
PARTITION = 2


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures that take a tenth of a second each, and one file that is none."""
    for i in range(PICTURES):
        pixels = np.zeros((2400, 3200, 3), np.uint8)
        for square in range(i % 4):
            pixels[:16, 32 * square : 32 * square + 16] = 255
        path = tmp_path / "photos" / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=1)
    (tmp_path / "photos" / "07.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(SOURCE))  # of the workers
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else they wait for whatever else the machine does
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    made = Cluster()
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False)
    yield made
    made.shutdown()


def command(tiny: Path, photos: Path, out: Path, *options: str) -> list[str]:
    how = ["--weights", str(tiny), "--min-score", "0.9", "--size", "original", "--partition", str(PARTITION)]
    return [sys.executable, "-m", "s3fd", "detect", str(photos), "--output", str(out), *how, *options]


def workers(node: Any) -> list[int]:
    """Process numbers of a node's workers that hold a detector."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_text(encoding="utf-8", errors="replace")
            parent = int((path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        if parent == raylet and title.startswith("ray::") and "Worker(" in title:
            found.append(int(path.name))
    return found


def test_a_node_dies_and_nothing_is_lost(tiny: Path, photos: Path, tmp_path: Path, cluster: Any) -> None:
    out, alone = tmp_path / "cluster", tmp_path / "alone"
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    second = cluster.list_all_nodes()[1]
    with subprocess.Popen(
        command(tiny, photos, out, "--engine", "ray"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        while run.poll() is None and not (workers(second) and list(out.glob("part-*.parquet"))):
            time.sleep(0.02)
        assert run.poll() is None and workers(second), "ended before anything could be killed"
        cluster.remove_node(second, allow_graceful=False)
        complete = len(list((out / "_manifest").glob("*.done.json")))
        assert complete < PICTURES / PARTITION, "killed too late to prove anything"
        printed, said = run.communicate(timeout=600)
    assert run.returncode == 1, said
    # Ray may tell of the node.
    assert "s3fd: 1 unreadable; see the `error` column for the reasons\n" in said, said
    assert "Traceback" not in said
    single = subprocess.run(command(tiny, photos, alone, "--threads", "1"), capture_output=True, text=True)
    assert single.stdout.replace(str(alone), str(out)) == printed
    files = sorted(path.name for path in alone.glob("part-*.parquet"))
    assert files == sorted(path.name for path in out.glob("part-*.parquet"))
    for name in files:
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    rows = dataset.dataset(out).to_table().to_pylist()
    assert [Path(row["path"]).stem for row in rows] == [f"{i:02d}" for i in range(PICTURES)]
    assert [len(row["faces"] or ()) for row in rows] == [i % 4 * (i != 7) for i in range(PICTURES)]


def test_a_partition_that_ends_its_process_each_time_is_left_out(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))  # of the workers
    tries = tmp_path / "tries"

    class Deadly(on_ray.Worker):
        def _make(self, number: int) -> Done:
            if number == 3:
                with tries.open("a") as file:
                    file.write("x")
                os._exit(1)
            return super()._make(number)

    monkeypatch.setattr(on_ray, "Worker", Deadly)
    names = sorted(str(path) for path in photos.iterdir())
    recipe = Recipe((str(photos),), model_digest(tiny), partition=PARTITION)
    archive = open_archive(Folder(str(tmp_path / "out")), recipe, names)
    with pytest.raises(OSError, match=rf"left out 1 partition .* part-000003, {names[6]} to {names[7]}\."):
        list(on_ray.make_on_ray(archive, on_ray.Pool(str(tiny), workers=2)))
    assert archive.pending() == [3]
    assert len(tries.read_text()) == on_ray.TRIES
