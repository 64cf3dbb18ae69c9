"""Fine-tuning as a user runs it: from a table and pictures to a model that tells gender."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from s3fd.cli import app
from s3fd.weights.network_file import load_network

TARGET = "Gender:F=female,M=male"


def s3fd(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s3fd", *(str(a) for a in arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture(scope="module")
def celebrities(shared_pack: Callable[[str], Path]) -> Path:
    return shared_pack("celeb_small")


@pytest.fixture(scope="module")
def table(celebrities: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures, and rows that a run must get over."""
    with (celebrities / "index.csv").open(encoding="utf-8") as file:
        header, *entries = csv.reader(file)
    rows = [header, *entries[::5]]
    gender = rows[0].index("Gender")
    odd = [list(rows[1]) for _ in range(2)]
    odd[0][0], odd[1][0] = "missing", "other"
    odd[1][gender] = "X"
    path = tmp_path_factory.mktemp("labels") / "index.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*rows, *odd])
    return path


@pytest.fixture(scope="module")
def run(celebrities: Path, table: Path) -> Path:
    """The folder of a short run of the recipe."""
    folder = table.parent / "run"
    config = table.parent / "short.yaml"
    config.write_text("{size: 160, epochs: 2, held_out: 0.2}", encoding="utf-8")
    images = celebrities / "Celeb_Small_Dataset"
    answer = s3fd(
        "finetune", table, "--images", images, "--target", TARGET, "--config", config, "--out", folder
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == str(folder / "model.onnx")
    assert ":42: " in answer.stderr and "missing" in answer.stderr
    assert "held out: 8 pictures" in answer.stderr
    return folder


def test_the_report_counts_every_picture(run: Path) -> None:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert (report["trained"], report["held_out"], report["classes"]) == (32, 8, ["female", "male"])
    assert report["summary"]["count"] + report["not_found"] == 8
    assert report["not_found"] <= 1  # they are portraits


def test_classify_says_what_a_picture_shows_or_that_there_is_no_face(
    run: Path, celebrities: Path, tmp_path: Path
) -> None:
    empty, broken = tmp_path / "empty.png", tmp_path / "broken.png"
    Image.fromarray(np.full((200, 300, 3), 120, np.uint8)).save(empty)
    broken.write_bytes(b"no picture")
    portrait = sorted((celebrities / "Celeb_Small_Dataset").glob("*.jpg"))[0]
    answer = s3fd("classify", portrait, empty, broken, "--weights", run / "model.onnx")
    assert answer.returncode == 1  # one could not be read
    first, second, third = (json.loads(line) for line in answer.stdout.splitlines())
    assert first["gender"] in ("female", "male") and 0.3 < first["probability"] <= 1
    assert second == {
        "path": str(empty),
        "gender": None,
        "probability": None,
        "faces": 0,
        "reason": "no face",
    }
    assert set(third) == {"path", "error"}


def test_detect_tells_the_attribute_of_every_face(run: Path, celebrities: Path) -> None:
    crowd = celebrities / "crowd.jpg"
    answer = s3fd("detect", crowd, "--weights", run / "model.onnx", "--attributes", "gender")
    assert answer.returncode == 0, answer.stderr
    faces = json.loads(answer.stdout)["faces"]
    assert faces and all(face["gender"] in ("female", "male") for face in faces)
    answer = s3fd("detect", crowd, "--weights", run / "model.onnx", "--attributes", "age")
    assert answer.returncode == 2 and "(attributes: gender)" in answer.stderr


def test_eval_counts_what_the_detector_finds(run: Path, celebrities: Path, table: Path) -> None:
    images = celebrities / "Celeb_Small_Dataset"
    common = ("eval", "attribute", table, "--images", images, "--weights", run / "model.onnx")
    answer = s3fd(*common, "--target", TARGET, "--by", "Tags", "--json")
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert report["found"] + report["missed"] == 40
    assert sum(group["count"] for group in report["Tags"].values()) == report["found"]
    assert sum(group["count"] for group in report["face size"].values()) == report["found"]
    answer = s3fd(*common, "--target", "Gender")
    assert answer.returncode == 2 and "VALUE=female,VALUE=male" in answer.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [("Colour", "Gender"), ("Gender:F", "two classes"), ("Gender:A,B", "")],
)
def test_labels_that_cannot_be_used(celebrities: Path, table: Path, target: str, message: str) -> None:
    images = celebrities / "Celeb_Small_Dataset"
    answer = s3fd("finetune", table, "--images", images, "--target", target)
    assert answer.returncode == 2
    assert message in answer.stderr and "Traceback" not in answer.stderr


def told(folder: Path, column: str, values: Sequence[str]) -> str:
    """What a run says of a table, one value a picture, before it looks for its weights."""
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(values))
    (folder / "index.csv").write_text(f"image,{column}\n{rows}")
    for i in range(len(values)):
        (folder / f"{i}.jpg").touch()
    arguments = ["finetune", str(folder / "index.csv"), "--images", str(folder), "--target", column]
    return CliRunner().invoke(app, [*arguments, "--weights", "nowhere"]).output


def test_values_that_are_no_label_are_told_of(tmp_path: Path) -> None:
    assert (
        "treated as unlabelled: 2 'none', 1 ''; to use such a value as a class, declare it in --target"
        in told(tmp_path, "Glasses", ("none", "none", "round", "dark", ""))
    )


def test_classes_that_differ_only_in_capitals_are_told_of(tmp_path: Path) -> None:
    values = ("dark", "Round", "round", "Dark", "none of these")
    said = told(tmp_path, "Glasses", values)
    assert "classes that differ only in their capitals: 'Dark', 'dark', 'Round', 'round'; if" in said


def test_twenty_of_many_classes_are_shown(tmp_path: Path) -> None:
    said = told(tmp_path, "Person", [f"person{i:02}" for i in range(30)])
    assert "person18, person19 and 10 more; run in" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--others", "nowhere"], "--others: only applies to joint runs"),
        (["--hold", "slim"], "--hold: only applies to joint runs"),
        (["--config", "branch", "--hold", "slim"], "--hold: only applies to joint runs"),
        (
            ["--config", "alone.yaml", "--others", "nowhere"],
            "--others: the configuration has joint.others: 0",
        ),
        (["--config", "untested.yaml", "--group", "Tags"], "--group: the configuration has held_out: 0"),
    ],
)
def test_options_that_would_change_nothing_are_refused_before_anything_is_read(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alone.yaml").write_text("joint: {others: 0}", encoding="utf-8")
    (tmp_path / "untested.yaml").write_text("held_out: 0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    arguments = ["finetune", "nowhere.csv", "--images", "nowhere", "--target", TARGET]
    answer = CliRunner().invoke(app, [*arguments, *options])
    assert answer.exit_code == 2 and f"s3fd: {message}" in answer.output


def test_calibration_changes_how_sure_the_weights_are(celebrities: Path, run: Path, tmp_path: Path) -> None:
    images, out = celebrities / "Celeb_Small_Dataset", tmp_path / "calibrated.safetensors"
    labels = (celebrities / "index.csv", "--images", images, "--target", TARGET)
    weights = run / "weights.safetensors"
    answer = s3fd("weights", "calibrate", weights, *labels, "--size", 160, "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert "gender: temperature" in answer.stderr and answer.stdout.strip() == str(out)
    before, after = (load_network(path) for path in (weights, out))
    assert before.attributes[0].temperature != after.attributes[0].temperature
    assert before.state_dict().keys() == after.state_dict().keys()
    for target in ("Gender", "Gender:M=male,F=female"):
        answer = s3fd("weights", "calibrate", weights, *labels[:-1], target, "--out", tmp_path / "not")
        assert answer.returncode == 2 and "COLUMN:VALUE=female,VALUE=male" in answer.stderr
    assert not (tmp_path / "not").exists()
    few = tmp_path / "few.csv"
    few.write_text("\n".join((celebrities / "index.csv").read_text().splitlines()[::10]))
    answer = s3fd("weights", "calibrate", weights, few, "--images", images, "--target", TARGET)
    assert answer.returncode == 2 and "needs 50" in answer.stderr
