from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.inference.resize import (
    FILL_BGR,
    MAX_INPUT_PIXELS,
    OneSize,
    Size,
    at_several_scales,
    input_pixels,
    network_size,
    pad,
    parse_size,
    rescale,
    resize,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("auto", "auto"), ("vga", "vga"), ("original", "original"), ("320", 320), ("007", 7)],
)
def test_sizes_that_can_be_written(size: str, expected: Size) -> None:
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "0", "-3", "VGA ", "1.5", "٣", "large"])
def test_other_sizes_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(size)


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (1024, 768, "vga", (640, 480)),
        (768, 1024, "vga", (480, 640)),
        (320, 240, "vga", (640, 480)),  # enlarged
        (1024, 768, "original", (1024, 768)),
        (1024, 768, 512, (512, 384)),
        (20_000, 50, "vga", (640, 2)),
        (20_000, 1, "vga", (640, 1)),
        (1, 1, "vga", (640, 640)),
        (1, 1, "original", (1, 1)),
        (10_000, 10_000, "original", (4000, 4000)),
        (100, 100, 10_000, (4000, 4000)),
        (16_000_000, 1, "original", (500_000, 1)),  # as 500,000 × 32, with the padding
        (3, 4_000_000, "original", (1, 500_000)),
    ],
)
def test_network_size(width: int, height: int, size: OneSize, expected: tuple[int, int]) -> None:
    assert network_size(width, height, size) == expected


SIDES = st.integers(1, 50_000) | st.integers(1, 10**9)


@given(SIDES, SIDES, st.integers(1, 20_000) | st.integers(1, 10**9) | st.just("original"))
def test_the_network_always_sees_something_and_never_too_much(width: int, height: int, size: OneSize) -> None:
    w, h = network_size(width, height, size)
    assert w >= 1
    assert h >= 1
    assert input_pixels(w, h) <= MAX_INPUT_PIXELS * 1.02


@pytest.mark.parametrize(
    ("width", "height", "size", "several"),
    [
        (320, 240, "vga", True),
        (240, 639, "vga", True),
        (640, 10, "vga", False),
        (4000, 3000, "vga", False),
        (320, 240, 640, False),
        (320, 240, "original", False),
        (320, 240, "auto", True),
        (4000, 3000, "auto", True),
    ],
)
def test_small_pictures_are_seen_at_several_scales(
    width: int, height: int, size: Size, several: bool
) -> None:
    assert at_several_scales(width, height, size) == several


@pytest.mark.parametrize("size", [0, -1, "huge", None, 1.5, True, "auto"])
def test_what_is_no_one_size_is_refused(size: OneSize) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        network_size(10, 10, size)


def test_a_size_may_be_a_number_of_numpy() -> None:
    assert network_size(640, 480, np.int64(320)) == network_size(640, 480, 320)


@pytest.mark.parametrize("target", [(64, 48), (640, 480), (320, 240), (640, 2), (1, 1)])
def test_resizing_gives_the_size_and_keeps_a_plain_colour(target: tuple[int, int]) -> None:
    pixels = np.full((240, 320, 3), (1, 2, 3), np.uint8)
    resized = resize(pixels, *target)
    assert resized.shape == (target[1], target[0], 3)
    assert (resized == (1, 2, 3)).all()


def test_shrinking_to_half_a_side_or_less_averages() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[::2, ::2] = 200
    assert (resize(pixels, 4, 4) == 50).all()
    pixels[:] = 0
    pixels[::4] = 200
    assert (resize(pixels, 8, 2) == 50).all()
    assert (resize(pixels.transpose(1, 0, 2), 2, 8) == 50).all()


def test_shrinking_less_interpolates() -> None:
    pixels = np.repeat(np.array([[[0], [60], [120], [240]]], np.uint8), 3, axis=2)
    assert resize(pixels, 3, 1)[0, :, 0].tolist() == [10, 90, 220]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(5, 9, (5, 9)), (3, 9, (3, 9)), (5, 4, (5, 4)), (2, 9, (3, 9)), (5, 1, (5, 4))],
)
def test_pictures_are_extended_to_the_bottom_and_right(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    padded = pad(pictures, height, width)
    assert padded.shape == (2, *expected, 3)
    np.testing.assert_array_equal(padded[:, :3, :4], pictures)
    assert (padded[:, 3:] == FILL_BGR).all() and (padded[:, :3, 4:] == FILL_BGR).all()


def test_pictures_that_are_large_enough_are_not_copied() -> None:
    pictures = np.zeros((2, 3, 4, 3), np.uint8)
    assert pad(pictures, 3, 4) is pictures


def test_boxes_follow_their_picture() -> None:
    boxes = np.array([[0, 0, 640, 2], [320, 1, 640, 2]], np.float32)
    moved = rescale(boxes, (640, 2), (20_000, 50))
    np.testing.assert_allclose(moved, [[0, 0, 20_000, 50], [10_000, 25, 20_000, 50]])
    assert moved.dtype == np.float32
    assert rescale(boxes[:0], (640, 2), (1, 1)).shape == (0, 4)
