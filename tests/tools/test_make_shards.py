from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from s3fd.training.config import DataConfig
from s3fd.training.loop import read_data

TOOL = Path(__file__).parents[2] / "tools" / "make_shards.py"


def make(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOOL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_printed_entry_is_the_set(tmp_path: Path) -> None:
    lines = []
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), np.full((40, 40, 3), 50 * i, np.uint8))
        lines += [f"{i}.jpg", "2", f"{i} 5 10.3 20 0 0 0 0 0 0", "30 30 20 0 0 0 0 0 0 0"]
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    wider = {"format": "wider", "images": str(tmp_path), "annotations": str(tmp_path / "gt.txt")}
    options = [part for name, value in wider.items() for part in (f"--{name}", value)]
    done = make(tmp_path / "out", *options, "--pictures", "2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has no area") == 5
    entry = yaml.safe_load(done.stdout.splitlines()[-1])
    assert entry == {"format": "shards", "images": f"{tmp_path}/out/{{000000..000002}}.tar"}
    before, _ = read_data([DataConfig.model_validate(wider)], tmp_path)
    after, problems = read_data([DataConfig.model_validate(entry)], tmp_path)
    assert not problems
    assert [s.boxes.tolist() for s in after] == [s.boxes.tolist() for s in before]
    again = make(tmp_path / "out", *options)
    assert again.returncode == 1 and again.stderr.strip().endswith("out already exists")
