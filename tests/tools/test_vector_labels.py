"""What is told of faces by a teacher's vectors alone."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scripts import load_script

LABELLED, UNKNOWN, HELD_OUT = 400, 60, 5


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "tools" / "vector_labels.py")


def test_faces_get_the_label_that_their_vectors_speak_of(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    count = LABELLED + UNKNOWN
    vectors = rng.normal(0, 0.05, (count, 16)).astype(np.float32)
    male = rng.random(count) < 0.5
    vectors[:, 0] += np.where(male, 0.3, -0.3)
    vectors[-1, 0] = vectors[:, 0].mean()  # of the last face they say nothing
    names = np.array([f"a/{i}.jpg" for i in range(count)])
    boxes = np.tile(np.array([1.4, 2, 30, 40], np.float32), (count, 1))
    np.savez(tmp_path / "vectors.npz", images=names, boxes=boxes, vectors=vectors)
    head = ["image", "x1", "y1", "x2", "y2", "invalid", "pack", "Gender"]
    rows = [[names[i], 1.4, 2, 30, 40, 0, "a", "M" if male[i] else "F"] for i in range(LABELLED)]
    held_out = [[names[i], 1.4, 2, 30, 40, 0, "a", ""] for i in range(LABELLED, LABELLED + HELD_OUT)]
    for name, table in (("train.csv", rows), ("test.csv", held_out)):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([head, *table])
    files = [str(tmp_path / name) for name in ("vectors.npz", "train.csv", "out.csv")]
    monkeypatch.setattr("sys.argv", ["vector_labels.py", *files, "--skip", str(tmp_path / "test.csv")])
    tool.main()
    with (tmp_path / "out.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["image"] for row in written[:LABELLED]] == list(names[:LABELLED])
    told = {row["image"]: row["Gender"] for row in written[LABELLED:]}
    assert len(told) > UNKNOWN - HELD_OUT - 5  # it may be unsure of a few
    assert not told.keys() & {*names[: LABELLED + HELD_OUT], names[-1]}
    assert all(said == ("M" if male[list(names).index(name)] else "F") for name, said in told.items())
