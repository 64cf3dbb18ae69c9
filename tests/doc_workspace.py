"""A folder in which the examples of the documentation find the files that they speak of.

Small stand-ins have the names and the layout that the pages use: photographs are the example's, in other
sizes and colours, videos a dozen frames, data sets a few pictures, and training takes two steps.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import clips
import colour_model
import cv2
import numpy as np
import yaml
from doc_blocks import ROOT

from s3fd.weights.openvino_export import read_onnx, save_openvino

EXAMPLE = ROOT / "examples" / "astronaut.jpg"
SLIM = ROOT / "src" / "s3fd" / "weights" / "slim"

FACE = (179, 58, 272, 179)
"""Box of the example's face: left, top, right, bottom."""

STRANGERS = 100
"""As many as `s3fd gallery calibrate` asks for."""


def build(home: Path) -> None:
    """Fill an empty folder."""
    photo = cv2.imread(str(EXAMPLE))
    for part in (_pictures, _people, _labels, _wider_val, _training_data):
        part(home, photo)
    shutil.copytree(ROOT / "examples", home / "examples", ignore=shutil.ignore_patterns("*.ipynb"))
    for name in ("pyproject.toml", "constraints.txt", "Dockerfile", "compose.yaml"):
        shutil.copy(ROOT / name, home)
    clip = [cv2.resize(photo, (320, 320)) for _ in range(12)]
    clips.save(home / "party.mp4", clip, sound="aac")
    _weights(home)
    _configs(home)


def _pictures(home: Path, photo: np.ndarray) -> None:
    small = cv2.resize(photo, (256, 256))
    photos = ("photo.jpg", "one.jpg", "party.jpg", "door.jpg", "new.jpg", "ada.jpg", "ada in spring.jpg")
    for name in (*photos, "other.png"):
        _write(home / name, small)
    _write(home / "crowd.jpg", np.tile(small, (2, 2, 1)))
    for folder in ("holiday", "photos", "pictures"):
        for name in ("1.jpg", "2.jpg", "beach/3.jpg"):
            _write(home / folder / name, small)


def _people(home: Path, photo: np.ndarray) -> None:
    """People of two colours, and strangers of others; to the colour model these are all different."""
    face = np.full((160, 480, 3), 128, np.uint8)  # wide, and therefore cheap at a longest side of 640
    face[:, :160] = cv2.resize(photo[:256, 100:356], (160, 160))
    for name, gains in (("Ada", (1, 1, 1)), ("Alan", (0.5, 0.6, 1.2))):
        for i, light in enumerate((0, 12), 1):
            _write(home / "people" / name / f"{i}.jpg", _tinted(face, gains, light))
    # Strangers that differ in their tint alone leave a threshold that nothing but the same picture passes.
    shutil.copy(home / "people" / "Ada" / "1.jpg", home / "door.jpg")
    for i in range(STRANGERS):
        gains = (1.4 - 0.004 * i, 0.6 + 0.002 * i, 0.4 + 0.004 * i)
        _write(home / "strangers" / f"{i}" / "1.jpg", _tinted(face, gains, 0))
    colour_model.save(home / "model.onnx")


def _labels(home: Path, photo: np.ndarray) -> None:
    """Tables of labelled pictures: who, and two attributes."""
    small = cv2.resize(photo, (160, 160))
    rows = []
    for i in range(8):
        name = f"Celeb_{i}.jpg"
        _write(home / "pictures" / name, _tinted(small, (1, 1, 0.7 + 0.05 * i), i))
        rows.append((name, ("Ada", "Alan", "Grace", "Kurt")[i % 4], "FM"[i % 2], str(i % 2)))
    for table in ("index.csv", "labels.csv"):
        with (home / table).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("Image_Name", "Person", "Gender", "Glasses"), *rows])


def _wider_val(home: Path, photo: np.ndarray) -> None:
    """One picture of WIDER FACE's validation set, as it were, with its ground truth."""
    from scipy.io import savemat

    def cells(*items: object) -> np.ndarray:
        column = np.empty((len(items), 1), object)
        for i, item in enumerate(items):
            column[i, 0] = item
        return column

    event, name = "0--Parade", "0_Parade_marchingband_1_1"
    _write(home / "WIDER_val" / "images" / event / f"{name}.jpg", photo)
    left, top, right, bottom = FACE
    boxes = cells(cells(np.array([[left, top, right - left, bottom - top]])))
    events = {"event_list": cells(event), "file_list": cells(cells(name)), "face_bbx_list": boxes}
    for folder in ("ground_truth", "GT"):
        (home / folder).mkdir()
        savemat(home / folder / "wider_face_val.mat", events)
        for setting in ("easy", "medium", "hard"):
            required = {"gt_list": cells(cells(np.array([[1]], np.uint8)))}
            savemat(home / folder / f"wider_{setting}_val.mat", required)


def _training_data(home: Path, photo: np.ndarray) -> None:
    """DATA: sets in WIDER's format where the configurations look for them, and labelled faces."""
    left, top, right, bottom = FACE
    box = f"{left} {top} {right - left} {bottom - top} 0 0 0 0 0 0"
    data = home / "DATA"
    for images, *tables in (
        (
            "wider_train_subset/WIDER_train/images",
            "wider_train_subset/wider_face_split/wider_face_train_bbx_gt.txt",
        ),
        ("group_photos/images", "group_photos/bbx_gt.txt", "relabelled/group_photos.txt"),
        ("masked_faces/images", "masked_faces/bbx_gt.txt", "relabelled/masked_faces.txt"),
    ):
        for i in range(2):
            _write(data / images / f"{i}.jpg", photo)
        for table in tables:
            (data / table).parent.mkdir(parents=True, exist_ok=True)
            (data / table).write_text("".join(f"{i}.jpg\n1\n{box}\n" for i in range(2)), encoding="utf-8")


def _weights(home: Path) -> None:
    """Trained weights, and a model for OpenVINO that stands for one in 8 bits."""
    (home / "runs" / "slim").mkdir(parents=True)
    shutil.copy(SLIM.with_suffix(".safetensors"), home / "runs" / "slim" / "weights.safetensors")
    save_openvino(read_onnx(SLIM.with_suffix(".onnx")), home / "slim.int8.xml")


def _configs(home: Path) -> None:
    """The project's own configurations and presets, with as little training as can be."""
    presets = ROOT / "src" / "s3fd" / "attributes" / "presets"
    short_run = {"steps": 2, "batch": 2, "size": 128, "workers": 0, "cache": False}
    for origin, folder, short in (
        (ROOT / "configs", "configs", short_run),
        (presets, "presets", {"epochs": 1, "least_steps": 1, "size": 128}),
    ):
        (home / folder).mkdir()
        for file in origin.glob("*.yaml"):
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            (home / folder / file.name).write_text(yaml.safe_dump({**content, **short}), encoding="utf-8")


def _tinted(pixels: np.ndarray, gains: tuple[float, float, float], light: float) -> np.ndarray:
    return np.clip(pixels * np.array(gains, np.float32) + light, 0, 255).astype(np.uint8)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
