"""Recall by size, of result folders."""

from pathlib import Path

import numpy as np
import pytest
from scripts import load_script

from s3fd.evaluation import results, wider
from s3fd.evaluation.wider import AnnotatedPicture, GroundTruth
from s3fd.faces import Faces

framing = load_script(Path(__file__).parents[2] / "benchmarks" / "framing.py")


def test_a_mistyped_folder_is_no_detector_that_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for benchmark in (framing, load_script(Path(__file__).parents[2] / "benchmarks" / "by_event.py")):
        monkeypatch.setattr("sys.argv", ["it", str(tmp_path), str(tmp_path), str(tmp_path / "none")])
        with pytest.raises(SystemExit, match="2"):
            benchmark.main()
        assert "none: no such folder" in capsys.readouterr().err


def test_faces_of_pictures_in_which_nothing_was_found_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = np.array([[10, 10, 30, 30]], np.float32)
    names = [f"event/{name}" for name in ("found", "empty", "without")]
    (tmp_path / "event").mkdir()
    for name in names:
        (tmp_path / f"{name}.jpg").touch()
    results.write(tmp_path, names[0], Faces(boxes, np.array([0.9], np.float32)))
    results.write(tmp_path, names[1], Faces.empty())
    truth = GroundTruth({name: AnnotatedPicture(boxes, {"hard": np.ones(1, bool)}) for name in names})
    monkeypatch.setattr(wider, "load", lambda folder: truth)
    monkeypatch.setattr("sys.argv", ["framing.py", str(tmp_path), str(tmp_path), str(tmp_path)])
    framing.main()
    assert "| 16– | 0.333 | 0.333 |" in capsys.readouterr().out
