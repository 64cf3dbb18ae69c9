"""Galleries as a user keeps them: people in, names or "unknown" out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import colour_model
import cv2
import numpy as np
import pytest
import torch
from reader import leave_after_a_line
from tints import BLUE, EXAMPLE, PLAIN, RED, tinted

from s3fd.cli.gallery.clustering import folder_names
from s3fd.identity.onnx_recogniser import open_recogniser
from s3fd.identity.sqlite_store import create_store, open_store
from s3fd.identity.store import Calibration
from s3fd.inference.detector import load
from s3fd.inference.runtime import BUNDLED
from s3fd.network.embedding import Embedding
from s3fd.weights.network_file import load_network, save_network


class Answer(NamedTuple):
    code: int
    lines: list[dict]
    errors: str


def gallery(*arguments: object) -> Answer:
    done = subprocess.run(
        [sys.executable, "-m", "s3fd", "gallery", *(str(a) for a in arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=120,
    )
    return Answer(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recogniser, people to enrol, strangers, and the gallery of these people."""
    home = tmp_path_factory.mktemp("home")
    colour_model.save(home / "colours.onnx")
    for name, gains in (("Ada", PLAIN), ("Rosa", RED)):
        (home / "people" / name).mkdir(parents=True)
        for i, light in enumerate((0, 12)):
            cv2.imwrite(str(home / "people" / name / f"{i}.png"), tinted(gains, light))
    for i in range(4):
        (home / "strangers" / f"stranger {i}").mkdir(parents=True)
        gains = (1.3 - 0.05 * i, 0.75, 0.5 + 0.04 * i)
        cv2.imwrite(str(home / "strangers" / f"stranger {i}" / "0.png"), tinted(gains))
    cv2.imwrite(str(home / "Ada again.png"), tinted(PLAIN, 6))
    cv2.imwrite(str(home / "somebody.png"), tinted(BLUE))
    answer = gallery("add", home / "g.db", home / "people", "--recogniser", home / "colours.onnx")
    assert answer.code == 0, answer.errors
    assert [line["name"] for line in answer.lines] == ["Ada", "Ada", "Rosa", "Rosa"]
    return home


def test_people_are_listed(home: Path) -> None:
    assert gallery("list", home / "g.db").lines == [
        {"name": "Ada", "vectors": 2},
        {"name": "Rosa", "vectors": 2},
    ]


def test_who_is_known_gets_a_name_and_others_are_unknown(home: Path) -> None:
    model = ("--recogniser", home / "colours.onnx")
    refused = gallery("identify", home / "g.db", home / "somebody.png", *model)
    assert refused.code == 2 and "no threshold: run `s3fd gallery calibrate`" in refused.errors
    (fitted,) = gallery("calibrate", home / "g.db", home / "strangers", *model, "--false-accepts", 0.25).lines
    assert fitted["faces"] == 4 and fitted["vectors"] == 4
    told = gallery("identify", home / "g.db", home / "Ada again.png", home / "somebody.png", *model)
    assert told.code == 0, told.errors
    (known,), (unknown,) = (line["faces"] for line in told.lines)
    assert known["name"] == "Ada" and known["score"] >= known["threshold"]
    assert unknown["name"] == "unknown" and unknown["score"] < unknown["threshold"]
    assert known["threshold"] == pytest.approx(fitted["identify"], abs=1e-4)
    same = gallery("verify", home / "g.db", "Ada", home / "Ada again.png", *model, "--threshold", 0.99)
    assert same.code == 0 and same.lines[0]["same"]
    other = gallery("verify", home / "g.db", "Rosa", home / "Ada again.png", *model, "--threshold", 0.99)
    assert other.code == 1 and not other.lines[0]["same"]


def test_the_same_folder_is_added_once(home: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    shutil.copytree(home / "people", people)
    (people / "Nobody").mkdir()
    add = ("add", tmp_path / "g.db", people, "--recogniser", home / "colours.onnx")
    first = gallery(*add)
    assert first.code == 1 and "no pictures of Nobody" in first.errors
    assert [line["added"] for line in first.lines] == [True] * 4
    cv2.imwrite(str(people / "Nobody" / "0.png"), tinted(BLUE))
    again = gallery(*add)
    assert again.code == 0 and [line["name"] for line in again.lines if line["added"]] == ["Nobody"]
    assert [line["vectors"] for line in gallery("list", tmp_path / "g.db").lines] == [2, 1, 2]


def test_a_gallery_that_has_grown_asks_to_be_calibrated_again(home: Path, tmp_path: Path) -> None:
    model = ("--recogniser", home / "colours.onnx")
    assert gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "Ada", *model).code == 0
    with open_store(tmp_path / "g.db") as store:
        store.calibrate(Calibration(0.5, 0.5, 0.01, 100, 1, 0.5))
    for command in (("identify", tmp_path / "g.db", EXAMPLE), ("verify", tmp_path / "g.db", "Ada", EXAMPLE)):
        told = gallery(*command, *model)
        assert (told.code, told.errors) == (0, "")
    assert gallery("add", tmp_path / "g.db", home / "Ada again.png", "--name", "Ada", *model).code == 0
    for command in (("identify", tmp_path / "g.db", EXAMPLE), ("verify", tmp_path / "g.db", "Ada", EXAMPLE)):
        told = gallery(*command, *model)
        assert told.code == 0 and "calibrated with 1 vector and now has 2" in told.errors


def test_a_picture_that_shows_nobody_well_is_refused_and_the_rest_goes_on(home: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1 wall.png"), np.full((200, 200, 3), 120, np.uint8))
    cv2.imwrite(str(tmp_path / "2 two.png"), np.hstack([tinted(PLAIN)] * 2))
    (tmp_path / "3 torn.png").write_bytes(b"torn")
    cv2.imwrite(str(tmp_path / "4 good.png"), tinted(PLAIN))
    answer = gallery(
        "add", tmp_path / "g.db", tmp_path, "--name", "Ada", "--recogniser", home / "colours.onnx"
    )
    assert answer.code == 1
    errors = [line.get("error") for line in answer.lines]
    assert errors[0] == "no face" and errors[1].startswith("2 faces") and errors[2] and errors[3] is None
    assert gallery("list", tmp_path / "g.db").lines == [{"name": "Ada", "vectors": 1}]


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_a_file_name_that_is_no_text(home: Path, tmp_path: Path) -> None:
    model = ("--recogniser", home / "colours.onnx")
    path = tmp_path / "people" / "Ada" / os.fsdecode(b"caf\xe9.png")
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "a.png"), tinted(PLAIN))
    (tmp_path / "a.png").rename(path)
    for arguments in (
        ("add", tmp_path / "g.db", path.parent.parent, *model),
        ("identify", tmp_path / "g.db", path, *model, "--threshold", 0.5),
    ):
        answer = gallery(*arguments)
        assert (answer.code, answer.errors) == (0, "")
        assert [line["path"] for line in answer.lines] == [str(path)]
    command = ("cluster", path.parent, *model, "--threshold", 0.5, "--least", 1, "--json")
    (report,) = gallery(*command).lines
    assert [face["path"] for person in report["people"] for face in person["faces"]] == [str(path)]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
    pictures = [home / "Ada again.png"] * 200
    options = ("--recogniser", home / "colours.onnx", "--threshold", "0.5")
    command = [sys.executable, "-m", "s3fd", "gallery", "identify", home / "g.db", *pictures, *options]
    assert leave_after_a_line(command) == (141, "")


def test_another_recognisers_vectors_are_refused(home: Path, tmp_path: Path) -> None:
    other = colour_model.save(tmp_path / "other.onnx", margin=0.2)
    answer = gallery("identify", home / "g.db", EXAMPLE, "--recogniser", other, "--threshold", 0.5)
    assert answer.code == 2 and "cannot be compared" in answer.errors and "Traceback" not in answer.errors


def test_nobody_is_called_unknown(home: Path, tmp_path: Path) -> None:
    answer = gallery(
        "add", tmp_path / "g.db", EXAMPLE, "--name", "Unknown", "--recogniser", home / "colours.onnx"
    )
    assert answer.code == 2 and "'Unknown' is reserved: it is the answer" in answer.errors
    assert not (tmp_path / "g.db").exists()


def test_who_is_removed_is_gone(home: Path, tmp_path: Path) -> None:
    model = ("--recogniser", home / "colours.onnx")
    assert gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "Ada", *model).code == 0
    assert gallery("remove", tmp_path / "g.db", "Ada").lines == [{"name": "Ada", "removed": 1}]
    assert gallery("list", tmp_path / "g.db").lines == []
    again = gallery("remove", tmp_path / "g.db", "Ada")
    assert again.code == 2 and "nobody in this gallery is called 'Ada'" in again.errors


def test_what_may_be_no_face_is_enrolled_only_if_that_is_asked_for(home: Path, tmp_path: Path) -> None:
    one = ("--name", "Ada", "--recogniser", home / "colours.onnx")
    refused = gallery("add", tmp_path / "g.db", EXAMPLE, *one, "--min-score", 0.99)
    assert refused.code == 1 and refused.lines[0]["error"].startswith("possibly not a face")
    assert gallery("add", tmp_path / "g.db", EXAMPLE, *one, "--min-score", 0.5).code == 0


def test_the_same_in_a_database(home: Path, postgres: Callable[[], str]) -> None:
    place, model = postgres(), ("--recogniser", home / "colours.onnx")
    nothing = gallery("list", place)
    assert nothing.code == 2 and "no gallery in this database" in nothing.errors
    assert gallery("add", place, home / "people", *model).code == 0
    told = gallery("identify", place, home / "Ada again.png", *model, "--threshold", 0.99)
    assert [face["name"] for face in told.lines[0]["faces"]] == ["Ada"]
    assert gallery("remove", place, "Ada").lines == [{"name": "Ada", "removed": 2}]
    assert gallery("list", place).lines == [{"name": "Rosa", "vectors": 2}]


def test_the_networks_own_embedding_needs_no_recogniser(home: Path, tmp_path: Path) -> None:
    nothing = gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "Ada", "--weights", "slim")
    assert nothing.code == 2 and "slim has no embedding: pass a model" in nothing.errors
    network = load_network(BUNDLED / "slim.safetensors")
    torch.manual_seed(0)
    network.embed(Embedding(dimension=8, width=16, depth=2))
    save_network(network, "slim", tmp_path / "own.safetensors")
    own = ("--weights", tmp_path / "own.safetensors")
    assert gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "Ada", *own).code == 0
    same = gallery("verify", tmp_path / "g.db", "Ada", EXAMPLE, *own, "--threshold", 0.9)
    assert same.code == 0 and same.lines[0]["score"] == pytest.approx(1, abs=1e-4)
    refused = gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "A", "--recogniser", home / "colours.onnx")
    assert refused.code == 2 and "cannot be compared" in refused.errors


def test_the_bundled_embedding_is_used_unless_told_otherwise(tmp_path: Path) -> None:
    assert gallery("add", tmp_path / "g.db", EXAMPLE, "--name", "Eileen").code == 0
    mirrored = tmp_path / "mirrored.jpg"
    cv2.imwrite(str(mirrored), cv2.imread(str(EXAMPLE))[:, ::-1])
    told = gallery("verify", tmp_path / "g.db", "Eileen", mirrored, "--threshold", 0.5)
    assert told.code == 0 and 0.6 < told.lines[0]["score"] < 0.9999


def test_who_appears_with_whom(home: Path, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    (photographs / "trip").mkdir(parents=True)
    for i, light in enumerate((0, 8)):
        cv2.imwrite(str(photographs / f"ada {i}.png"), tinted(PLAIN, light))
    cv2.imwrite(str(photographs / "trip" / "both.png"), np.hstack([tinted(PLAIN, 4), tinted(RED)]))
    cv2.imwrite(str(photographs / "trip" / "rosa.png"), tinted(RED, 8))
    cv2.imwrite(str(photographs / "somebody.png"), tinted(BLUE))
    (photographs / "torn.png").write_bytes(b"torn")
    options = ("--recogniser", home / "colours.onnx", "--threshold", 0.95)
    done = gallery("cluster", photographs, *options, "--json", "--folders", tmp_path / "faces")
    assert (
        done.code == 1
        and "torn.png" in done.errors
        and "1 of them left out (people in fewer than 2" in done.errors
    )
    (found,) = done.lines
    assert [(one["name"], len(one["faces"])) for one in found["people"]] == [("person 1", 3), ("person 2", 2)]
    assert found["together"] == [{"names": ["person 1", "person 2"], "pictures": 1}]
    assert {Path(face["path"]).name for face in found["people"][1]["faces"]} == {"both.png", "rosa.png"}
    assert len(list((tmp_path / "faces" / "person 2").iterdir())) == 2
    command = ["cluster", photographs, *options, "--gallery", home / "g.db"]
    table = subprocess.run(
        [sys.executable, "-m", "s3fd", "gallery", *map(str, command)], capture_output=True, text=True
    )
    assert table.stdout.splitlines()[1].split() == ["Ada", "3", "Rosa", "(1)"]
    assert "no threshold" in gallery("cluster", photographs, *options[:2]).errors


def test_faces_are_not_mixed_with_those_of_another_run(home: Path, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    cv2.imwrite(str(photographs / "ada.png"), tinted(PLAIN))
    options = (
        "--recogniser",
        home / "colours.onnx",
        "--threshold",
        0.95,
        "--least",
        1,
        "--json",
        "--folders",
    )
    assert gallery("cluster", photographs, *options, tmp_path / "faces").code == 0
    again = gallery("cluster", photographs, *options, tmp_path / "faces")
    assert again.code == 2 and "faces already contains pictures; choose a new folder" in again.errors
    within = gallery("cluster", photographs, *options, photographs / "faces")
    assert within.code == 2 and f"faces is inside {photographs}; choose a folder elsewhere" in within.errors
    assert [path.name for path in photographs.iterdir()] == ["ada.png"]


def test_a_number_is_not_the_name_of_somebody_in_the_gallery(home: Path, tmp_path: Path) -> None:
    model = ("--recogniser", home / "colours.onnx")
    (tmp_path / "photographs").mkdir()
    for i, light in enumerate((0, 8, 12)):
        cv2.imwrite(str(tmp_path / "photographs" / f"ada {i}.png"), tinted(PLAIN, light))
    for i, light in enumerate((0, 8)):
        cv2.imwrite(str(tmp_path / "photographs" / f"rosa {i}.png"), tinted(RED, light))
    assert gallery("add", tmp_path / "g.db", home / "people" / "Rosa", "--name", "person 1", *model).code == 0
    options = (*model, "--threshold", 0.95, "--gallery", tmp_path / "g.db", "--json")
    (found,) = gallery("cluster", tmp_path / "photographs", *options).lines
    names = {Path(face["path"]).name[:3]: one["name"] for one in found["people"] for face in one["faces"]}
    assert names == {"ada": "person 2", "ros": "person 1"}


def test_faces_stay_in_the_folder_whatever_people_are_called(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    for i, light in enumerate((0, 8)):
        cv2.imwrite(str(tmp_path / "photographs" / f"{i}.png"), tinted(PLAIN, light))
    recogniser = open_recogniser(home / "colours.onnx")
    picture = tinted(PLAIN)
    vectors = recogniser.embed(picture, load("slim")(picture))
    with create_store(tmp_path / "g.db", recogniser.model) as store:  # as earlier versions let it be
        store.add("..", vectors, ["x"])
    options = ("--recogniser", home / "colours.onnx", "--threshold", 0.95, "--json")
    place = tmp_path / "out" / "faces"
    done = gallery(
        "cluster", tmp_path / "photographs", *options, "--gallery", tmp_path / "g.db", "--folders", place
    )
    assert [person["name"] for person in done.lines[0]["people"]] == [".."], done.errors
    assert list(place.parent.iterdir()) == [place]
    assert len(list((place / "__").iterdir())) == 2


def test_every_person_has_a_folder_of_their_own() -> None:
    names = [
        "Ada",
        "Zoë 李",
        "A/B",
        "A_B",
        "A\\B",
        "a_b 2",
        ".",
        "..",
        "...",
        "C:",
        "../x",
        "Jos\u00e9",
        "Jose\u0301",
    ]
    folders = folder_names(names * 2)
    assert list(folders) == names
    assert list(folders.values()) == [
        *("Ada", "Zoë 李", "A_B", "A_B 2", "A_B 3", "a_b 2 2", "_", "__", "___", "C_", ".._x"),
        *("Jos\u00e9", "Jose\u0301 2"),
    ]


def test_a_folder_without_people_is_refused(home: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), tinted(PLAIN))
    answer = gallery("add", tmp_path / "g.db", tmp_path, "--recogniser", home / "colours.onnx")
    assert (
        answer.code == 2
        and "must contain one folder per person" in answer.errors
        and not (tmp_path / "g.db").exists()
    )
