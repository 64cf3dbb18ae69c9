from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from s3fd.cli.evaluate import app
from s3fd.evaluation.wider import Curve

scipy_io = pytest.importorskip("scipy.io")

EVENT = "0--Parade"


def column(*items: object) -> np.ndarray:
    """A Matlab cell array of one column."""
    cells = np.empty((len(items), 1), object)
    cells[:, 0] = [None] * len(items)
    for i, item in enumerate(items):
        cells[i, 0] = item
    return cells


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pictures with a white square each on one of the tiny model's cells, and their ground truth."""
    names = ["a", "b.c"]
    images = tmp_path / "images" / EVENT
    images.mkdir(parents=True)
    for name in names:
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[16:32, 32:48] = 255
        cv2.imwrite(str(images / f"{name}.png"), picture)
    truth = tmp_path / "truth"
    truth.mkdir()
    box = np.array([[32, 16, 16, 16]])
    content = {
        "event_list": column(EVENT),
        "file_list": column(column(*names)),
        "face_bbx_list": column(column(box, box)),
    }
    scipy_io.savemat(truth / "wider_face_val.mat", content)
    for setting, lists in {
        "easy": [[], []],
        "medium": [[[1]], []],
        "hard": [[[1]], [[1]]],
    }.items():
        numbers = column(*(np.array(faces, np.uint8).reshape(-1, 1) for faces in lists))
        scipy_io.savemat(truth / f"wider_{setting}_val.mat", {"gt_list": column(numbers)})
    return tmp_path


def run(data: Path, *options: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``wider`` on the `data`."""
    arguments = [
        *("wider", str(data / "images"), "--ground-truth", str(data / "truth")),
        *("--results", str(data / "results"), *options),
    ]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("protocol", ["single", "vga", "multiscale"])
def test_detects_and_scores(data: Path, tiny: Path, protocol: str) -> None:
    code, out, _ = run(data, "--weights", str(tiny), "--protocol", protocol, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["protocol"] == protocol
    assert report["pictures"] == 2
    assert report["faces"] == {"easy": 0, "medium": 1, "hard": 2}
    assert sorted(path.name for path in (data / "results" / EVENT).iterdir()) == ["a.txt", "b.c.txt"]
    if protocol == "single":  # the others show the model squares that are not of its size
        assert report["average_precision"] == {"easy": 0, "medium": 1, "hard": 1}


def test_scores_results_that_are_there_and_draws_them(data: Path, tiny: Path) -> None:
    run(data, "--weights", str(tiny), "--protocol", "single")
    (data / "results" / EVENT / "a.txt").unlink()
    plot = data / "curves.svg"
    code, out, err = run(data, "--score-only", "--plot", str(plot))
    assert code == 0
    assert f"{EVENT}/a: no result file; counted as no detections" in err
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["easy", "0.000", "0"],
        ["medium", "0.000", "1"],
        ["hard", "0.500", "2"],
    ]
    assert plot.exists()


def test_the_table_rounds_what_was_measured_once(
    data: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, "--weights", str(tiny), "--protocol", "single")
    curve = Curve(np.array([0.86249]), np.ones(1), np.zeros(1))
    monkeypatch.setattr("s3fd.evaluation.wider.evaluate", lambda *_: {"hard": curve})
    _, out, _ = run(data, "--score-only")
    assert out.splitlines()[2].split() == ["hard", "0.862", "2"]


def test_a_damaged_picture_and_an_unknown_one_do_not_end_the_run(data: Path, tiny: Path) -> None:
    (data / "images" / EVENT / "a.png").write_bytes(b"no picture")
    (data / "images" / EVENT / "x.png").write_bytes(b"not in the ground truth")
    code, out, err = run(data, "--weights", str(tiny), "--protocol", "single", "--json")
    assert code == 0
    assert "a.png: not a picture of a known format; counted as no detections" in err
    assert f"{EVENT}/x: not in the ground truth; skipped" in err
    assert json.loads(out)["average_precision"]["hard"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--protocol", "nonsense"],
            "unknown protocol 'nonsense': choose one of vga, single, auto, multiscale, paper",
        ),
        (["--weights", "nonsense.onnx"], "nonsense.onnx: no such model"),
        (["--score-only"], "results: no such folder"),
        (
            ["--score-only", "--plot", "curves.gif"],
            "curves.gif: unsupported plot format; use one of .pdf, .png, .svg",
        ),
        (["--score-only", "--plot", "nowhere/curves.png"], "nowhere: no such folder"),
        (["--ground-truth", "nowhere"], "wider_face_val.mat: no such file"),
    ],
)
def test_mistakes_end_in_one_line(data: Path, options: list[str], message: str) -> None:
    code, out, err = run(data, *options)
    assert (code, out) == (2, "")
    assert err.startswith("s3fd: ") and message in err and err.count("\n") == 1


def test_folders_without_what_is_needed(data: Path) -> None:
    (data / "results").mkdir()
    assert "no result files for the pictures" in run(data, "--score-only")[2]
    for picture in (data / "images" / EVENT).iterdir():
        picture.rename(picture.with_name(f"other{picture.name}"))
    assert "none of its pictures is in the ground truth" in run(data, "--score-only")[2]
    (data / "images").rename(data / "moved")
    assert "images: no such folder" in run(data, "--score-only")[2]
    (data / "images").mkdir()
    assert "no pictures in event folders" in run(data, "--score-only")[2]


def test_a_missing_package_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    code, _, err = run(data, "--score-only")
    assert code == 2
    assert "pip install 's3fd[eval]'" in err


def test_a_malformed_result_file_is_named(data: Path) -> None:
    folder = data / "results" / EVENT
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a\n1\n1 2 3\n")
    code, _, err = run(data, "--score-only")
    assert code == 2
    assert "a.txt:3: expected left, top, width, height and score" in err
