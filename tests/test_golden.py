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


def test_weights_are_those_of_their_card() -> None:
    card = (BUNDLED / "slim.md").read_text()
    for suffix in (".onnx", ".safetensors"):
        path = BUNDLED / f"slim{suffix}"
        assert path.stat().st_size <= 4_000_000
        assert sha256(path) in card, f"{path.name} is not the file that its card describes"


def test_onnx_and_safetensors_are_one_network() -> None:
    torch = pytest.importorskip("torch")
    from s3fd.network.decoder import PictureNetwork
    from s3fd.weights.network_file import load_network

    picture = cv2.imread(str(EXAMPLE))[None]
    scores, boxes, told, _ = open_runtime("slim")(picture, ["gender"])
    with torch.no_grad():
        expected = PictureNetwork(load_network(BUNDLED / "slim.safetensors"))(torch.from_numpy(picture))
    np.testing.assert_allclose(scores, expected[0], atol=1e-4)
    np.testing.assert_allclose(boxes, expected[1], atol=0.05)
    np.testing.assert_allclose(told["gender"], expected[2], atol=1e-3)


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
