"""What each of Ray's processes does, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fsspec")
pytest.importorskip("pyarrow")

from s3fd.archive.job import make
from s3fd.archive.manifest import Archive, part
from s3fd.archive.on_ray import Pool, Worker
from s3fd.inference.detector import Detector
from s3fd.weights.digest import model_digest

Plan = Callable[[str], Archive]


def of(archive: Archive, model: Path) -> Archive:
    return replace(archive, recipe=replace(archive.recipe, weights=model_digest(model)))


@pytest.mark.parametrize(("threads", "batch"), [(1, 1), (2, 1), (1, 4)])
def test_it_makes_what_one_machine_makes(
    planned: Plan, tiny: Path, detector: Detector, threads: int, batch: int
) -> None:
    alone, archive = planned("alone"), of(planned("archive"), tiny)
    wanted = [
        asdict(done) | {"failure": "", "left_out": False}
        for done in make(alone, detector)
        if done is not None
    ]
    worker = Worker(archive, Pool(str(tiny), threads=threads, batch=batch))
    told = worker({"number": np.array([2, 0])})
    assert told == {key: [wanted[2][key], wanted[0][key]] for key in wanted[0]}
    assert archive.pending() == [1]
    for number in (0, 2):
        name = f"{part(number)}.parquet"
        assert archive.folder.read(name) == alone.folder.read(name)


def test_what_another_had_completed_stays(planned: Plan, tiny: Path) -> None:
    archive = of(planned("archive"), tiny)
    first = Worker(archive, Pool(str(tiny)))({"number": np.array([0])})
    file = Path(archive.folder.url) / "part-000000.parquet"
    written = file.stat().st_mtime_ns
    assert Worker(archive, Pool("no such model"))({"number": np.array([0])}) == first
    assert file.stat().st_mtime_ns == written


def test_a_partition_whose_table_is_gone_is_made_again(planned: Plan, tiny: Path) -> None:
    archive = of(planned("archive"), tiny)
    worker = Worker(archive, Pool(str(tiny)))
    first = worker({"number": np.array([0])})
    file = Path(archive.folder.url) / "part-000000.parquet"
    content = file.read_bytes()
    file.unlink()
    assert worker({"number": np.array([0])}) == first
    assert file.read_bytes() == content


def test_failures_are_told(planned: Plan, tiny: Path) -> None:
    archive = planned("archive")
    (failure,) = Worker(archive, Pool(str(tiny)))({"number": np.array([0])})["failure"]
    assert "tiny.onnx is a different model on this machine" in failure
    (Path(archive.folder.url) / "_manifest" / "part-000001.inputs.json").unlink()
    (failure,) = Worker(of(archive, tiny), Pool(str(tiny)))({"number": np.array([1])})["failure"]
    assert "part-000001.inputs.json" in failure
    assert archive.pending() == [0, 1, 2]
