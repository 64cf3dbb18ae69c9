"""The bundled weights on real pictures."""

import csv
import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import s3fd
from s3fd import boxes as box_ops
from s3fd.evaluation import wider
from s3fd.evaluation.protocols import PROTOCOLS
from s3fd.evaluation.verification import read_pairs
from s3fd.evaluation.verification_pictures import find_pictures, judge
from s3fd.identity.job import open_reader
from s3fd.inference.runtime import BUNDLED, open_runtime
from s3fd.weights.digest import sha256

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "astronaut.jpg"
FACE = np.array([[176, 68, 270, 174]], np.float32)
"""The astronaut's face, measured by hand: hairline to chin."""


@pytest.fixture(scope="module")
def detector() -> s3fd.Detector:
    return s3fd.load()


@pytest.mark.parametrize("size", ["vga", "original", 320, 1280])
def test_the_example_has_one_face(detector: s3fd.Detector, size: str | int) -> None:
    faces = detector(EXAMPLE, size=size)
    assert len(faces) == 1
    assert box_ops.iou(faces.boxes, FACE)[0, 0] > 0.7
    assert faces.scores[0] > 0.6


def test_the_command_of_the_readme(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "s3fd", "detect", "examples/astronaut.jpg", "--draw", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    record = json.loads(done.stdout)
    assert (record["width"], record["height"], len(record["faces"])) == (512, 512, 1)
    assert cv2.imread(str(tmp_path / "astronaut.jpg")).shape == (512, 512, 3)
    assert done.stdout.strip() in (ROOT / "README.md").read_text(), "the README shows another result"


@pytest.mark.parametrize(("name", "most"), [("slim", 4_000_000), ("slim-identity", 6_000_000)])
def test_weights_are_those_of_their_card(name: str, most: int) -> None:
    card = (BUNDLED / f"{name}.md").read_text()
    for suffix in (".onnx", ".safetensors"):
        path = BUNDLED / f"{name}{suffix}"
        assert path.stat().st_size <= most
        assert sha256(path) in card, f"{path.name} is not the file that its card describes"


@pytest.mark.parametrize("name", ["slim", "slim-identity"])
def test_onnx_and_safetensors_are_one_network(name: str) -> None:
    torch = pytest.importorskip("torch")
    from s3fd.network.decoder import PictureNetwork
    from s3fd.weights.network_file import load_network

    picture = cv2.imread(str(EXAMPLE))[None]
    runtime = open_runtime(name)
    has_embedding = runtime.embedding is not None
    assert has_embedding == (name == "slim-identity")
    told = runtime(picture, ["gender"], embedding=has_embedding)
    with torch.no_grad():
        expected = PictureNetwork(load_network(BUNDLED / f"{name}.safetensors"))(torch.from_numpy(picture))
    np.testing.assert_allclose(told.scores, expected[0], atol=1e-4)
    np.testing.assert_allclose(told.boxes, expected[1], atol=0.05)
    np.testing.assert_allclose(told.attributes["gender"], expected[2], atol=1e-3)
    if has_embedding:
        np.testing.assert_allclose(told.embedding, expected[3], atol=1e-2 * np.abs(told.embedding).max())


def test_slim_identity_finds_what_slim_finds() -> None:
    picture = cv2.imread(str(EXAMPLE))
    plain, same = (s3fd.load(name, attributes=("gender",)) for name in ("slim", "slim-identity"))
    assert plain(picture).to_dicts() == same(picture).to_dicts()


def test_pairs_of_people_who_were_not_trained_on_are_told_apart(
    shared_pack: Callable[[str], Path], lfw_pairs: Path
) -> None:
    """The first 50 pairs of one person and of two, of the first two folds of LFW's list."""
    listed = read_pairs(lfw_pairs)
    pairs = [
        pair
        for fold in (0, 1)
        for same in (True, False)
        for pair in [p for p in listed if p.fold == fold and p.same is same][:50]
    ]
    judged = judge(open_reader(size=320), pairs, find_pictures(pairs, shared_pack("lfw_subset") / "images"))
    assert len(pairs) == 200 and judged.result.accuracy > 0.84, "far under the 90 % that the card states"


@pytest.mark.slow
def test_accuracy_on_wider_does_not_fall(wider_val: Path) -> None:
    """Average precision at VGA size, one pass; the floor is a point under what the model card states."""
    files = sorted((wider_val / "WIDER_val/images").glob("*/*.jpg"))
    assert len(files) == 306
    runtime = open_runtime("slim")
    names = {f"{file.parent.name}/{file.stem}": file for file in files}
    found = {name: PROTOCOLS["vga"](runtime, cv2.imread(str(file))) for name, file in names.items()}
    curves = wider.evaluate(found, wider.load(wider_val / "ground_truth").only(names))
    precision = {setting: curve.average_precision for setting, curve in curves.items()}
    card = json.loads((BUNDLED / "slim.json").read_text())["average_precision"]["vga"]
    assert all(precision[setting] > card[setting] - 0.01 for setting in card), precision


def test_gender_is_told_of_portraits_that_were_not_trained_on(shared_pack: Callable[[str], Path]) -> None:
    """Every fourth portrait of those that tools/locate_faces.py keeps for testing."""
    pack = shared_pack("portraits")
    with (pack / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if zlib.crc32(row["Image_Name"].encode()) % 100 < 10]
    files = {path.stem: path for path in (pack / "images").iterdir()}
    detector = s3fd.load(size="original", attributes=("gender",))
    right = []
    for row in rows[::4]:
        faces = detector(files[row["Image_Name"]])
        if len(faces):
            told = faces.attributes["gender"][int(faces.sizes.argmax())]
            right.append(told == {"F": "female", "M": "male"}[row["Gender"]])
    assert len(right) > 0.95 * len(rows[::4]) > 150
    card = json.loads((BUNDLED / "slim.json").read_text())["gender"]["portraits"]
    assert np.mean(right) > card - 0.06, "far under what the card states"
