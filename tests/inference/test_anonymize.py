from __future__ import annotations

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3fd
from s3fd import boxes as box_ops
from s3fd.inference.anonymize import CELLS, FILL, Mode, Shape, Style, anonymize

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
FACE = np.array([[176, 68, 270, 174]], np.float32)
"""The astronaut's face, measured by hand: hairline to chin."""

MODES = get_args(Mode)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def detail(pixels: np.ndarray) -> float:
    """Variance of the Laplacian, the usual measure of sharpness."""
    return float(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())


@st.composite
def box_arrays(draw: st.DrawFn) -> np.ndarray:
    """Up to three boxes in and around a picture of 80 × 60 pixels; some of them empty."""
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        x, y = draw(st.floats(-50, 120)), draw(st.floats(-50, 100))
        rows.append([x, y, x + draw(st.floats(0, 90)), y + draw(st.floats(0, 90))])
    return np.array(rows, np.float32).reshape(-1, 4)


@given(
    box_arrays(), st.sampled_from(MODES), st.sampled_from(get_args(Shape)), st.floats(0, 1), st.floats(1, 9)
)
def test_what_is_outside_stays_and_the_picture_itself_too(
    boxes: np.ndarray, mode: Mode, shape: Shape, margin: float, strength: float
) -> None:
    pixels = noise(60, 80)
    before = pixels.copy()
    hidden = anonymize(pixels, boxes, Style(mode, strength, margin, shape))
    np.testing.assert_array_equal(pixels, before)
    assert hidden.shape == pixels.shape and hidden.dtype == np.uint8
    outside = np.ones((60, 80), bool)
    for x1, y1, x2, y2 in boxes.astype(float):
        dx, dy = margin * (x2 - x1), margin * (y2 - y1)
        left, top = max(0, np.floor(x1 - dx)), max(0, np.floor(y1 - dy))
        right, bottom = max(0, np.ceil(x2 + dx)), max(0, np.ceil(y2 + dy))
        outside[int(top) : int(bottom), int(left) : int(right)] = False
    np.testing.assert_array_equal(hidden[outside], pixels[outside])


@given(box_arrays(), st.sampled_from(get_args(Shape)))
def test_no_pixel_of_a_box_is_left(boxes: np.ndarray, shape: Shape) -> None:
    """With the default margin the ellipse holds the whole box."""
    boxes = boxes[box_ops.area(boxes) > 1]
    pixels = np.zeros((60, 80, 3), np.uint8)
    hidden = anonymize(pixels, boxes, Style("fill", shape=shape))
    for x1, y1, x2, y2 in np.maximum(boxes, 0).astype(float):
        inside = hidden[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))]
        assert (inside == FILL).all()


def test_an_ellipse_leaves_the_corners() -> None:
    pixels = noise(200, 200)
    box = np.array([[50, 50, 150, 150]], np.float32)
    same = (anonymize(pixels, box, Style("fill", margin=0.0)) == pixels).all(axis=2)
    assert same[50, 50] and same[149, 149] and not same[100, 51] and not same[51, 100]
    assert not (anonymize(pixels, box, Style("fill", margin=0.0, shape="box")) == pixels).all(axis=2)[50, 50]


@pytest.mark.parametrize("box", [(20, 10, 60, 50), (20.3, 10.6, 47.9, 51.2), (-15.5, 30.25, 40, 75)])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_an_ellipse_covers_the_pixels_that_it_touches_and_no_others(
    box: tuple[float, float, float, float], margin: float
) -> None:
    hidden = anonymize(
        np.zeros((60, 80, 3), np.uint8), np.array([box], np.float32), Style("fill", margin=margin)
    )
    x1, y1, x2, y2 = np.array(box, np.float32).astype(float)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    columns, rows = np.arange(80), np.arange(60)[:, None]
    # From the centre to the nearest point of each pixel, in radii.
    dx = (np.clip(x, columns, columns + 1) - x) / ((x2 - x1) * (0.5 + margin))
    dy = (np.clip(y, rows, rows + 1) - y) / ((y2 - y1) * (0.5 + margin))
    distance = dx**2 + dy**2
    sure = np.abs(distance - 1) > 1e-9  # a pixel that only a point of the rim touches may go either way
    np.testing.assert_array_equal((hidden == FILL).all(axis=2)[sure], (distance < 1)[sure])


@pytest.mark.parametrize("mode", ["blur", "pixelate"])
@pytest.mark.parametrize("side", [20, 100, 800])
def test_as_little_is_left_of_a_large_face_as_of_a_small_one(mode: Mode, side: int) -> None:
    """Means of a few cells, and nothing more: what the cells alone say is the whole."""
    pixels = noise(side, side)
    box = np.array([[0, 0, side, side]], np.float32)
    hidden = anonymize(pixels, box, Style(mode, margin=0.0, shape="box"))
    cells = cv2.resize(hidden, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    if mode == "pixelate":
        assert (cv2.resize(cells, (side, side), interpolation=cv2.INTER_NEAREST) == hidden).all()
    else:
        assert detail(hidden) < detail(pixels) / 100
        gradient = np.abs(np.diff(hidden.astype(int), axis=1)).max()
        assert gradient <= 3 * 255 * CELLS / side + 1


@pytest.mark.parametrize(("width", "height", "colours"), [(200, 80, 5 * 2), (80, 200, 2 * 5)])
def test_the_longer_side_of_a_face_decides_how_much_is_left(width: int, height: int, colours: int) -> None:
    box = np.array([[20, 30, 20 + width, 30 + height]], np.float32)
    hidden = anonymize(noise(300, 300), box, Style("pixelate", margin=0.0, shape="box"))
    face = hidden[30 : 30 + height, 20 : 20 + width].reshape(-1, 3)
    assert len(np.unique(face, axis=0)) == colours


def test_more_strength_leaves_fewer_colours() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, :, 0] = np.arange(100)
    pixels[:, :, 1] = np.arange(100)[:, None]
    box = np.array([[0, 0, 100, 100]], np.float32)
    counts = [
        len(np.unique(anonymize(pixels, box, Style("pixelate", s, 0.0, "box")).reshape(-1, 3), axis=0))
        for s in (1, 2.5, 100)
    ]
    assert counts == [CELLS**2, 4, 1]


def test_faces_that_overlap_are_both_hidden() -> None:
    pixels = noise(100, 100)
    boxes = np.array([[10, 10, 70, 70], [30, 30, 90, 90], [40, 40, 50, 50]], np.float32)
    style = Style("pixelate", margin=0.0, shape="box")
    for order in ([0, 1, 2], [2, 1, 0]):
        hidden = anonymize(pixels, boxes[order], style)
        assert detail(hidden[12:68, 12:68]) < detail(pixels[12:68, 12:68]) / 5


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 2, 3)])
@pytest.mark.parametrize("mode", MODES)
def test_tiny_pictures(shape: tuple[int, int, int], mode: Mode) -> None:
    box = np.array([[0, 0, shape[1], shape[0]]], np.float32)
    assert anonymize(np.zeros(shape, np.uint8), box, Style(mode)).shape == shape


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "smear"},
        {"shape": "star"},
        {"strength": 0.9},
        {"strength": float("nan")},
        {"strength": float("inf")},
        {"margin": -0.1},
        {"margin": float("nan")},
    ],
)
def test_wrong_styles_are_refused(options: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError):
        Style(**options)


@pytest.mark.parametrize("mode", MODES)
def test_the_detector_sees_no_face_in_a_hidden_one(mode: Mode) -> None:
    pixels = cv2.imread(str(EXAMPLE))
    detector = s3fd.load(threads=1, size="auto")
    faces = detector(pixels, min_score=0.7)
    assert len(faces) == 1
    hidden = anonymize(pixels, faces.boxes, Style(mode))
    x1, y1, x2, y2 = FACE[0].astype(int)
    assert detail(hidden[y1:y2, x1:x2]) < detail(pixels[y1:y2, x1:x2]) / 2
    again = detector(hidden, min_score=0.7)
    assert not (box_ops.iou(FACE, again.boxes) > 0.3).any()
