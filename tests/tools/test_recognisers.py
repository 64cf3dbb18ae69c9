"""A teacher's vectors: who is asked about, how a face is turned upright, and weights in 8 bits."""

import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from scripts import load_script

TOOLS = Path(__file__).parents[2] / "tools"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return load_script(TOOLS / f"{name}.py")


def test_nobody_who_tests_is_learnt_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = load("teacher_vectors", monkeypatch)
    table = tmp_path / "t.csv"
    table.write_text(
        "image,x1,y1,x2,y2,invalid,pack,Person,mask\na.jpg,0,0,9,9,0,p,Ann,\na.jpg,20,0,29,9,0,p,,\n"
        "b.jpg,0,0,9,9,0,p,Bob,bare\nb.jpg,20,0,29,9,1,p,,\nc.jpg,0,0,9,9,0,p,,\nd.jpg,0,0,9,9,0,p,,mask\n"
    )
    rows = tool.rows_of([table], {"Ann"})
    assert [(row["image"], row["x1"]) for row in rows] == [("b.jpg", "0"), ("c.jpg", "0")]
    np.testing.assert_array_equal(tool.box_of(rows[0]), [0, 0, 9, 9])


def test_larger_faces_of_crowds_become_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = load("teacher_vectors", monkeypatch)
    (tmp_path / "party" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "party" / "images" / "1.jpg"), np.zeros((90, 90, 3), np.uint8))
    boxes = ["10 20 34 30 0 0 0 0 0 0", "50 50 20 33 0 0 0 0 0 0", "0 0 40 40 0 0 0 1 0 0"]
    (tmp_path / "party" / "bbx_gt.txt").write_text("\n".join(["1.jpg", "3", *boxes]) + "\n")
    (row,) = tool.crowd(tmp_path, "party/bbx_gt.txt", "party/images")
    assert (row["image"], row["pack"], row["invalid"]) == ("party/images/1.jpg", "party", "0")
    np.testing.assert_array_equal(tool.box_of(row), [10, 20, 44, 50])


def test_eyes_and_mouth_come_to_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load("teacher_vectors", monkeypatch)
    angle, size = 0.4, 120
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (tool.UPRIGHT * size) @ turn.T + (60, 90)
    points[2] += 5  # the nose has no say
    picture = np.zeros((500, 500, 3), np.uint8)
    for point in points[[0, 1, 3, 4]]:
        x, y = np.round(point).astype(int)
        picture[y - 3 : y + 4, x - 3 : x + 4] = 255
    face = tool.upright(picture, points.astype(np.float32), size)
    assert face.shape == (size, size, 3)
    for x, y in np.round(tool.UPRIGHT[[0, 1, 3, 4]] * size).astype(int):
        assert face[y, x, 0] > 200
    assert face[:, :, 0].mean() < 10


def test_weights_in_8_bits_and_in_full_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = load("dlib_recogniser", monkeypatch)
    weights = [
        {
            "name": "codes",
            "shape": [2, 2],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
        },
        {"name": "full", "shape": [1], "dtype": "float32"},
    ]
    (tmp_path / tool.MANIFEST).write_text(json.dumps([{"paths": ["w.bin"], "weights": weights}]))
    (tmp_path / "w.bin").write_bytes(bytes([0, 1, 2, 255]) + np.float32(0.25).tobytes())
    read = tool.read_weights(tmp_path)
    np.testing.assert_allclose(read["codes"], [[-1, -0.5], [0, 126.5]])
    np.testing.assert_allclose(read["full"], [0.25])
    (tmp_path / "w.bin").write_bytes(bytes(9))
    with pytest.raises(ValueError, match="8 bytes, there are 9"):
        tool.read_weights(tmp_path)
