from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import s3fd
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError


@pytest.fixture(scope="module")
def detector(tiny: Path) -> Detector:
    return s3fd.load(tiny, threads=1, size="original", min_score=0.9)


def square(width: int, height: int, x: int, y: int, side: int) -> np.ndarray:
    """A black picture (height, width, 3) with a white square."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y : y + side, x : x + side] = 255
    return pixels


def test_an_array_a_pillow_picture_and_a_file_give_the_same(detector: Detector, tmp_path: Path) -> None:
    pixels = square(64, 48, 32, 16, 16)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for picture in (pixels, Image.fromarray(pixels), path, str(path)):
        faces = detector(picture)
        assert faces.boxes.tolist() == [[32, 16, 48, 32]]
        assert faces.scores.tolist() == [1.0]


@pytest.mark.parametrize(
    ("width", "height", "side", "size"),
    [(320, 240, 8, "vga"), (1280, 960, 32, "vga"), (6400, 4800, 160, "vga"), (320, 240, 32, 160)],
)
def test_boxes_are_in_pixels_of_the_full_picture(
    detector: Detector, tmp_path: Path, width: int, height: int, side: int, size: s3fd.inference.resize.Size
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(square(width, height, 3 * side, 2 * side, side)).save(path, quality=95)
    faces = detector(path, size=size)
    np.testing.assert_allclose(faces.boxes, [[3 * side, 2 * side, 4 * side, 3 * side]], rtol=1e-5)


def test_boxes_end_at_the_edges_of_the_picture(detector: Detector) -> None:
    faces = detector(np.full((20, 20, 3), 255, np.uint8))
    assert faces.boxes.max() == 20
    assert len(faces) == 4


def test_a_call_can_have_its_own_size_and_score(detector: Detector) -> None:
    pixels = square(64, 48, 32, 16, 16) // 2
    assert len(detector(pixels)) == 0
    assert len(detector(pixels, min_score=0.4)) == 1
    assert len(detector(square(32, 32, 16, 16, 8), size=64)) == 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 50), (50, 20_000), (2, 3000)])
@pytest.mark.parametrize("size", ["vga", "original", 100])
def test_odd_shapes(detector: Detector, width: int, height: int, size: s3fd.inference.resize.Size) -> None:
    faces = detector(np.full((height, width, 3), 255, np.uint8), size=size)
    assert np.isfinite(faces.boxes).all()
    assert (faces.boxes <= [width, height, width, height]).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(detector: Detector, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture array is"):
        detector(picture)


def test_other_things_are_refused(detector: Detector) -> None:
    with pytest.raises(TypeError):
        detector(3)  # type: ignore[arg-type]
    with pytest.raises(PictureError):
        detector("missing.jpg")
    with pytest.raises(TypeError):
        Detector(detector.runtime, nonsense=1)  # type: ignore[call-arg]
