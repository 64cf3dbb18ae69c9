from __future__ import annotations

import numpy as np

from s3fd.identity.crops import square_crops


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose first channel is the column and whose second is the row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width)
    picture[..., 1] = np.arange(height)[:, None]
    return picture


def test_a_square_is_cut_as_it_is() -> None:
    picture = ramp(100, 120)
    even, odd = square_crops(picture, np.array([[30, 40, 46, 56], [31, 41, 47, 57]], np.float32), 16)
    np.testing.assert_array_equal(even, picture[40:56, 30:46])
    np.testing.assert_array_equal(odd, picture[41:57, 31:47])


def test_a_box_smaller_than_a_pixel_shows_that_pixel() -> None:
    (crop,) = square_crops(ramp(100, 120), np.array([[10.2, 20.2, 10.4, 20.4]], np.float32), 4)
    assert (crop == (10, 20, 0)).all()


def test_shrinking_averages() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::4] = 200
    (crop,) = square_crops(stripes, np.array([[0, 0, 32, 32]], np.float32), 8)
    assert (crop == 50).all()


def test_the_longer_side_counts_and_the_margin_is_around_it() -> None:
    picture = ramp(100, 120)
    (crop,) = square_crops(picture, np.array([[48, 40, 56, 56]], np.float32), 32, margin=0.5)
    np.testing.assert_array_equal(crop, picture[32:64, 36:68])


def test_the_outermost_pixels_go_on_beyond_the_edge() -> None:
    picture = ramp(100, 120)
    (crop,) = square_crops(picture, np.array([[-8, 92, 8, 108]], np.float32), 16)
    assert (crop[:, :9, 0] == 0).all() and (crop[8:, :, 1] == 99).all()
    np.testing.assert_array_equal(crop[0, 8:, 0], np.arange(8))


def test_no_face_gives_no_crop() -> None:
    assert square_crops(ramp(9, 9), np.zeros((0, 4), np.float32), 16).shape == (0, 16, 16, 3)
