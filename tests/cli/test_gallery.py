"""The commands on galleries as a user runs them: in a process of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import blocks_model
import cv2
import numpy as np
import pytest

from s3fd.inference.pictures import read

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def run(*arguments: object, code: int = 0) -> tuple[list[dict], str]:
    line = [sys.executable, "-m", "s3fd", "gallery", *(str(argument) for argument in arguments)]
    answer = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    return [json.loads(text) for text in answer.stdout.splitlines()], answer.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blocks_model.save(tmp_path_factory.mktemp("model") / "blocks.onnx")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a person: two good pictures of one, and what cannot be enrolled of another."""
    root = tmp_path_factory.mktemp("people")
    (root / "Eileen").mkdir()
    (root / "Nobody").mkdir()
    picture = read(EXAMPLE)
    shutil.copy(EXAMPLE, root / "Eileen" / "a.jpg")
    cv2.imwrite(str(root / "Eileen" / "b.png"), cv2.convertScaleAbs(picture, alpha=0.9))
    cv2.imwrite(str(root / "Nobody" / "blurred.png"), cv2.GaussianBlur(picture, (0, 0), 2))
    (root / "Nobody" / "broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(root / "Nobody" / "empty.png"), np.full((200, 200, 3), 90, np.uint8))
    cv2.imwrite(
        str(root / "Nobody" / "small.png"), cv2.resize(picture, (96, 96), interpolation=cv2.INTER_AREA)
    )
    cv2.imwrite(str(root / "Nobody" / "two.png"), np.concatenate([picture, picture[:, ::-1]], axis=1))
    return root


def test_from_folder_to_deletion(people: Path, model: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "people.gallery"
    added, _ = run("add", gallery, people, "--recogniser", model, code=1)
    assert [(Path(line["path"]).name, line.get("error")) for line in added] == [
        ("a.jpg", None),
        ("b.png", None),
        ("blurred.png", added[2]["error"]),
        ("broken.jpg", "not a picture of a known format"),
        ("empty.png", "no face"),
        ("small.png", added[5]["error"]),
        ("two.png", "2 faces: whose picture is it?"),
    ]
    assert "the face is too blurred: sharpness" in added[2]["error"]
    assert "the face is too small" in added[5]["error"]
    assert run("list", gallery)[0] == [{"name": "Eileen", "vectors": 2}]

    _, error = run("identify", gallery, EXAMPLE, "--recogniser", model, code=2)
    assert error == "s3fd: no threshold: run s3fd gallery calibrate, or give --threshold\n"
    ((known,), _) = run("identify", gallery, EXAMPLE, "--recogniser", model, "--threshold", 0.99)
    (face,) = known["faces"]
    assert (face["name"], face["threshold"]) == ("Eileen", 0.99)
    assert face["score"] == pytest.approx(1, abs=1e-3)
    negative = tmp_path / "mirror.png"
    cv2.imwrite(str(negative), cv2.convertScaleAbs(read(EXAMPLE)[:, ::-1, ::-1], alpha=0.6, beta=90))
    ((other,), _) = run("identify", gallery, negative, "--recogniser", model, "--threshold", 0.9999)
    assert other["faces"][0]["name"] == "unknown" and other["faces"][0]["score"] < 0.9999

    ((same,), _) = run("verify", gallery, "Eileen", EXAMPLE, "--recogniser", model, "--threshold", 0.99)
    assert same["same"] is True
    run("verify", gallery, "Eileen", negative, "--recogniser", model, "--threshold", 0.9999, code=1)
    run("verify", gallery, "Ada", EXAMPLE, "--recogniser", model, "--threshold", 0.9, code=2)

    assert run("remove", gallery, "Eileen")[0] == [{"name": "Eileen", "removed": 2}]
    assert run("list", gallery)[0] == []


def test_calibrated_thresholds_are_used(people: Path, model: Path, tmp_path: Path) -> None:
    gallery, strangers = tmp_path / "people.gallery", tmp_path / "strangers"
    run("add", gallery, people / "Eileen" / "a.jpg", "--name", "Eileen", "--recogniser", model)
    for i, gain in enumerate((0.5, 0.7)):
        (strangers / f"s{i}").mkdir(parents=True)
        changed = cv2.convertScaleAbs(read(EXAMPLE)[:, ::-1], alpha=gain)
        cv2.imwrite(str(strangers / f"s{i}" / "x.png"), changed)
    options = ["--recogniser", model]
    _, error = run("calibrate", gallery, strangers, *options, "--false-accepts", 0.01, code=2)
    assert "takes 100 comparisons at least, there are 2" in error
    (strangers / "s2").mkdir()
    cv2.imwrite(str(strangers / "s2" / "x.png"), read(EXAMPLE)[:, ::-1])
    ((fitted,), _) = run("calibrate", gallery, strangers, *options, "--false-accepts", 0.4)
    assert (fitted["faces"], fitted["vectors"]) == (3, 1)
    ((known,), _) = run("identify", gallery, EXAMPLE, *options)
    assert known["faces"][0]["threshold"] == pytest.approx(fitted["identify"], abs=1e-4)
    told = run("identify", gallery, *sorted(strangers.glob("*/*")), *options)[0]
    assert sum(line["faces"][0]["name"] == "Eileen" for line in told) == 1  # of three, at a rate of 0.4
    run("add", gallery, people / "Eileen", "--name", "Eileen", *options)
    assert "calibrated with 1 vectors, now there are 3" in run("identify", gallery, EXAMPLE, *options)[1]


def test_a_gallery_refuses_another_model(people: Path, model: Path, tmp_path: Path) -> None:
    gallery, other = tmp_path / "g", blocks_model.save(tmp_path / "other.onnx", margin=0.2)
    picture = people / "Eileen" / "a.jpg"
    run("add", gallery, picture, "--name", "Eileen", "--recogniser", model)
    for command in (["add", gallery, picture, "--name", "E"], ["identify", gallery, picture]):
        _, error = run(*command, "--recogniser", other, code=2)
        assert "made by blocks" in error and "vectors of other" in error and error.count("\n") == 1


def test_mistakes_end_in_one_line(model: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["list", tmp_path / "none"], "none: no such gallery"),
        (["add", tmp_path / "g", tmp_path / "none", "--recogniser", model], "none: no such file or folder"),
        (["add", tmp_path / "g", EXAMPLE, "--recogniser", model], "has no folder a person"),
        (["add", tmp_path / "g", EXAMPLE, "--recogniser", tmp_path / "x.onnx"], "x.onnx: no such model"),
    ):
        _, error = run(*arguments, code=2)
        assert error.startswith("s3fd: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "g").exists()
