"""From pairs and pictures to figures, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import colour_model
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from s3fd.cli.evaluate import app
from s3fd.evaluation.verification import Pair, Roc, Verification, verify
from s3fd.evaluation.verification_groups import GroupErrors, by_group, read_groups
from s3fd.evaluation.verification_pictures import NO_FACE, Judged, find_pictures, middle
from s3fd.faces import Faces

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
GAINS = {"Ada": (1, 1, 1), "Rosa": (0.5, 0.6, 1.2), "Bo": (1.3, 0.7, 0.5), "Wall": None}
PAIRS = "2 2\nAda 1 2\nRosa 1 2\nAda 1 Rosa 2\nAda 2 Bo 1\nBo 1 2\nWall 1 2\nBo 2 Rosa 1\nRosa 2 Ada 1\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of people, the example in their colours, and one of nobody."""
    home = tmp_path_factory.mktemp("pairs")
    photo = cv2.imread(str(EXAMPLE)).astype(np.float32)
    for name, gains in GAINS.items():
        for number in (1, 2):
            picture = np.full((200, 200, 3), 120.0) if gains is None else photo * gains + 5 * number
            folder = home / name if name == "Bo" else home
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / f"{name}_000{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    (home / "pairs.txt").write_text(PAIRS)
    (home / "people.csv").write_text("Image_Name,Gender,Person\na,F,Ada\nb,F,Rosa\nc,M,Bo\nd,,Wall\n")
    colour_model.save(home / "colours.onnx")
    return home


def test_the_command_judges_pairs_by_the_middle_face(home: Path) -> None:
    model = ["--recogniser", str(home / "colours.onnx"), "--size", "320"]
    groups = ["--groups", str(home / "people.csv"), "--plot", str(home / "roc.png")]
    done = CliRunner().invoke(
        app, ["verification", str(home / "pairs.txt"), "--images", str(home), *model, *groups, "--json"]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["folds"] == [1.0, 0.75]  # the two pictures of nobody count as two people
    assert [Path(path).stem for path in report["without_face"]] == ["Wall_0001", "Wall_0002"]
    assert report["true_accepts"] == {"0.01": 0.75, "0.001": 0.75}
    assert report["groups"] == {
        "F": {"same": 2, "different": 2, "false_rejects": 0.0, "false_accepts": 0.0},
    }
    assert cv2.imread(str(home / "roc.png")).shape[1] == 960
    table = CliRunner().invoke(app, ["verification", str(home / "pairs.txt"), "--images", str(home), *model])
    assert "accuracy 87.5%" in table.stdout and "8 pairs, 2 pictures without a detected face" in table.stdout


def test_the_table_rounds_what_was_measured_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.array([551, 540, 549, 535, 531])  # of LFW's 600 pairs a fold: a standard error of 0.646 %
    result = Verification(right / 600, np.zeros(5), Roc(np.array([0.0, 1]), np.array([0.6249, 1])))
    judged = Judged([Pair(("a", 1), ("a", 2), fold) for fold in range(5)], np.zeros(5), result, [])
    monkeypatch.setattr("s3fd.evaluation.verification_pictures.judge", lambda *_: judged)
    model = ["--recogniser", str(home / "colours.onnx")]
    table = CliRunner().invoke(app, ["verification", str(home / "pairs.txt"), "--images", str(home), *model])
    assert "accuracy 90.2% ± 0.6% (standard error)" in table.stdout


def test_missing_pictures_are_named(home: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no picture Eve_0003\.jpg"):
        find_pictures([Pair(("Ada", 1), ("Eve", 3), 0)], home)
    found = find_pictures([Pair(("Ada", 1), ("Bo", 2), 0)], home)
    assert found["Bo", 2] == home / "Bo" / "Bo_0002.png"


def test_the_middle_face_is_large_and_near_the_middle() -> None:
    boxes = np.array([[0, 0, 90, 90], [60, 60, 140, 140], [95, 95, 105, 105]], np.float32)
    assert middle(Faces(boxes, np.ones(3, np.float32)), 200, 200) == 1


def test_errors_by_group_count_pairs_within_it(home: Path) -> None:
    people = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "a"), ("m", "m"), ("m", "n"), ("a", "m"), ("n", "n")]
    pairs = [Pair((x, 1), (y, 2), i % 2) for i, (x, y) in enumerate(people)]
    scores = np.array([0.9, 0.1, 0.2, 0.8, 0.9, 0.1, 0.95, NO_FACE])
    same = np.array([pair.same for pair in pairs])
    result = verify(scores, same, np.array([pair.fold for pair in pairs]))
    thresholds = np.array([0.5, 0.5])
    judged = Judged(pairs, scores, type(result)(result.accuracies, thresholds, result.roc), [])
    errors = by_group(judged, {"a": "F", "b": "F", "m": "M", "n": "M", "x": "none"})
    assert errors == {"F": GroupErrors(2, 2, 0.5, 0.5), "M": GroupErrors(2, 1, 0.5, 0.0)}
    with pytest.raises(ValueError, match="no column 'Age'"):
        read_groups(home / "people.csv", "Age")
    assert read_groups(home / "people.csv", "Gender") == {"Ada": "F", "Rosa": "F", "Bo": "M"}
    (home / "people.csv").write_bytes("Person,Gender\nJosé,M\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"people\.csv: not encoded in UTF-8"):
        read_groups(home / "people.csv", "Gender")
