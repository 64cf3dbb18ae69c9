from __future__ import annotations

from pathlib import Path

import blocks_model
import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.identity.crops import square_crops
from s3fd.identity.onnx_recogniser import BATCH, open_recogniser


def faces(*boxes: list[float]) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32))


def test_a_vector_is_what_the_card_says(tmp_path: Path) -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:26, 10:18] = (255, 0, 0)  # left half blue
    picture[10:26, 18:26] = (0, 0, 255)  # right half red
    box = faces([10, 10, 26, 26])
    red, green, blue = [-1, 1, -1, 1], [-1] * 4, [1, -1, 1, -1]
    rgb = open_recogniser(blocks_model.save(tmp_path / "rgb.onnx")).embed(picture, box)
    np.testing.assert_allclose(rgb[0] * np.sqrt(12), [*red, *green, *blue], atol=1e-5)
    bgr = open_recogniser(blocks_model.save(tmp_path / "bgr.onnx", colour="bgr")).embed(picture, box)
    np.testing.assert_allclose(bgr[0] * np.sqrt(12), [*blue, *green, *red], atol=1e-5)


def test_faces_of_a_crowd_are_those_of_one_at_a_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (90, 90, 3), np.uint8)
    corners = random.uniform(-10, 60, (BATCH + 3, 2))
    crowd = faces(*np.concatenate([corners, corners + random.uniform(8, 40, corners.shape)], 1).tolist())
    recogniser = open_recogniser(blocks_model.save(tmp_path / "m.onnx"))
    together = recogniser.embed(picture, crowd)
    assert together.shape == (BATCH + 3, 12) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([recogniser.embed(picture, face) for face in crowd])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert recogniser.embed(picture, Faces.empty()).shape == (0, 12)


def test_a_crop_is_square_has_its_margin_and_goes_on_beyond_the_edge() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :, 0] = np.arange(30)
    picture[:, :, 1] = np.arange(20)[:, None]
    (crop,) = square_crops(picture, np.array([[10, 4, 14, 12]], np.float32), 16, margin=0.5)
    np.testing.assert_array_equal(crop[0, :, 0], np.arange(4, 20))  # centred on 12, 16 wide
    np.testing.assert_array_equal(crop[:, 0, 1], np.clip(np.arange(16), 0, 19))
    (edge,) = square_crops(picture, np.array([[-4, -4, 4, 4]], np.float32), 8)
    np.testing.assert_array_equal(edge[0, :, 0], [0, 0, 0, 0, 0, 1, 2, 3])


def test_the_digest_is_of_what_decides_the_vectors(tmp_path: Path) -> None:
    def model(**card: object) -> object:
        return open_recogniser(blocks_model.save(tmp_path / "m.onnx", **card)).model

    plain = model()
    assert model(name="other").digest == plain.digest
    assert len({plain.digest, model(margin=0.1).digest, model(colour="bgr").digest}) == 3
    assert (plain.name, plain.dimension) == ("m", 12)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"size": 0}, "size is a whole number"),
        ({"size": True}, "size is a whole number"),
        ({"mean": [1, 2]}, "mean is three numbers"),
        ({"scale": 0}, "scale is a number other than 0"),
        ({"colour": "grey"}, "colour is one of bgr, rgb"),
        ({"margin": -1}, "margin is a number from 0 to 2"),
        ({"sise": 112}, "a card is an object with the fields size, mean"),
        ({"size": 4}, "does not take what its card says"),
    ],
)
def test_a_card_that_cannot_be(tmp_path: Path, card: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_recogniser(blocks_model.save(tmp_path / "m.onnx", **card))


def test_without_a_card_nothing_is_guessed(tmp_path: Path) -> None:
    path = blocks_model.save(tmp_path / "m.onnx")
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"m\.json: no such card"):
        open_recogniser(path)
