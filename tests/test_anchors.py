from __future__ import annotations

import numpy as np
import pytest

from s3fd.anchors import ANCHOR_SIZES, STRIDES, anchors, map_sizes


def test_a_picture_of_640_pixels_has_34125_anchors() -> None:
    found = anchors(map_sizes(640, 640))
    assert found.shape == (34125, 4)
    assert found.dtype == np.float32


def test_anchors_are_squares_of_four_strides_layer_by_layer() -> None:
    assert tuple(4 * stride for stride in STRIDES) == ANCHOR_SIZES
    sizes = map_sizes(320, 256)
    found = anchors(sizes)
    expected = np.repeat(ANCHOR_SIZES, [height * width for height, width in sizes])
    np.testing.assert_array_equal(found[:, 2] - found[:, 0], expected)
    np.testing.assert_array_equal(found[:, 3] - found[:, 1], expected)


def test_centres_lie_in_the_middle_of_the_cells_row_by_row() -> None:
    found = anchors(map_sizes(64, 128))
    centres = (found[:, :2] + found[:, 2:]) / 2
    np.testing.assert_array_equal(centres[:2], [[2, 2], [6, 2]])
    np.testing.assert_array_equal(centres[32], [2, 6])  # the second row of a map 32 cells wide
    np.testing.assert_array_equal(centres[-1], [64, 64])  # the only cell of stride 128


def test_halving_rounds_up() -> None:
    assert map_sizes(1, 1) == [(1, 1)] * 6
    assert map_sizes(641, 640)[0] == (161, 160)


def test_other_than_six_maps_are_refused() -> None:
    with pytest.raises(ValueError):
        anchors([(1, 1)] * 5)
