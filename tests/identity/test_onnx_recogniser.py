from __future__ import annotations

from pathlib import Path

import colour_model
import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.identity.crops import square_crops
from s3fd.identity.onnx_recogniser import BATCH, open_recogniser


def some_faces(count: int) -> tuple[np.ndarray, Faces]:
    """A noisy picture and boxes in it."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    corners = rng.uniform(0, 150, (count, 2)).astype(np.float32)
    sides = rng.uniform(16, 50, (count, 2)).astype(np.float32)
    return picture, Faces(np.hstack([corners, corners + sides]), np.ones(count, np.float32))


def expected(picture: np.ndarray, faces: Faces, mean: float, scale: float) -> np.ndarray:
    """The vectors by hand, in RGB."""
    crops = square_crops(picture, faces.boxes, colour_model.SIZE)[..., ::-1].astype(np.float64)
    parts = ((crops - mean) * scale).reshape(len(crops), 4, 4, 4, 4, 3).mean(axis=(2, 4))
    vectors = parts.transpose(0, 3, 1, 2).reshape(len(crops), colour_model.DIMENSION)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("count", [0, 1, BATCH + 3])
def test_vectors_are_the_models_of_the_crops(tmp_path: Path, batch: int | None, count: int) -> None:
    recogniser = open_recogniser(colour_model.save(tmp_path / "model.onnx", batch, mean=[100, 100, 100]))
    picture, faces = some_faces(count)
    vectors = recogniser.embed(picture, faces)
    assert vectors.shape == (count, colour_model.DIMENSION) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(picture, faces, 100, 1 / 127.5), atol=1e-5)


def test_the_order_of_colours_is_the_cards(tmp_path: Path) -> None:
    rgb = open_recogniser(colour_model.save(tmp_path / "rgb.onnx"))
    bgr = open_recogniser(colour_model.save(tmp_path / "bgr.onnx", colour="bgr"))
    picture, faces = some_faces(5)
    mirrored = np.ascontiguousarray(picture[..., ::-1])
    np.testing.assert_array_equal(rgb.embed(picture, faces), bgr.embed(mirrored, faces))


def test_the_digest_is_of_all_that_decides_what_vectors_are(tmp_path: Path) -> None:
    digests = [
        open_recogniser(colour_model.save(tmp_path / "model.onnx", **card)).model.digest
        for card in ({}, {"name": "other"}, {"margin": 0.1}, {"colour": "bgr"})
    ]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_a_vector_without_direction_is_refused(tmp_path: Path) -> None:
    recogniser = open_recogniser(colour_model.save(tmp_path / "model.onnx", mean=[9, 9, 9]))
    with pytest.raises(ValueError, match="zero or not finite"):
        recogniser.embed(np.full((50, 50, 3), 9, np.uint8), some_faces(1)[1])


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = colour_model.save(tmp_path / "model.onnx")
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="not a model"):
        open_recogniser(path)


def test_a_card_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not work with its card"):
        open_recogniser(colour_model.save(tmp_path / "model.onnx", size=32))
