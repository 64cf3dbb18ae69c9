from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from square_finder import COLOURS, SquareFinder

import s3fd
from s3fd import boxes as box_ops
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pyramid import (
    COARSEST,
    CONTEXT,
    LARGEST,
    MAX_STEP,
    OCTAVE,
    TILE,
    Level,
    Look,
    levels,
    looks,
    merge,
)
from s3fd.inference.resize import VGA
from s3fd.inference.tiles import Tile

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
FACE = np.array([[176, 68, 270, 174]], np.float32)
"""The astronaut's face, measured by hand: hairline to chin."""

SIDES = st.integers(1, 30_000)

Square = tuple[int, int, int, str]
"""Left, top, side and colour."""


def picture_of(width: int, height: int, squares: list[Square]) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    for x, y, side, colour in squares:
        pixels[y : y + side, x : x + side] = COLOURS[colour]
    return pixels


def assert_each_is_found_once(faces: Faces, squares: list[Square]) -> None:
    wanted = np.array([[x, y, x + side, y + side] for x, y, side, _ in squares], np.float32).reshape(-1, 4)
    overlaps = box_ops.iou(wanted, faces.boxes)
    assert len(faces) == len(squares)
    assert (overlaps.max(axis=1, initial=0) > 0.6).all(), wanted[overlaps.max(axis=1, initial=0) <= 0.6]
    assert faces.attributes["colour"][overlaps.argmax(axis=1)].tolist() == [c for _, _, _, c in squares]


@pytest.fixture
def detector() -> Detector:
    return Detector(SquareFinder(), size="auto", attributes=("colour",))


@given(SIDES, SIDES)
def test_levels_go_from_the_full_picture_to_the_coarsest(width: int, height: int) -> None:
    found = levels(width, height)
    longest = max(width, height)
    assert found[0].scale == pytest.approx(max(1, VGA / longest))
    assert found[-1].scale * longest == pytest.approx(COARSEST)
    *steps, last_but_one, last = (finer.scale / coarser.scale for finer, coarser in pairwise(found))
    assert last_but_one == pytest.approx(last)
    for step in (*steps, last_but_one * last):
        assert step * (1 + 1e-6) >= OCTAVE and step <= MAX_STEP * (1 + 1e-6)


@given(SIDES, SIDES, st.floats(0.1, 40_000))
def test_every_size_has_a_level_that_sees_it_well(width: int, height: int, side: float) -> None:
    """Even if that level measures it up to a third too large or too small."""
    found = levels(width, height)
    low, high = side / math.sqrt(OCTAVE), side * math.sqrt(OCTAVE)
    answering = [
        level for level in found if level.over <= low * (1 + 1e-6) and high <= level.under * (1 + 1e-6)
    ]
    assert answering
    for level in answering:
        assert level is found[-1] or side * level.scale <= LARGEST


@given(SIDES, SIDES)
def test_no_look_is_larger_than_a_tile(width: int, height: int) -> None:
    for look in looks(width, height):
        assert min(look.seen) >= 1
        assert max(look.seen) <= TILE


@settings(max_examples=50)
@given(st.integers(1, 9000), st.integers(1, 9000), st.data())
def test_every_face_is_whole_in_a_look_with_what_is_around_it(
    width: int, height: int, data: st.DataObject
) -> None:
    side = data.draw(st.integers(1, min(width, height)))
    x, y = data.draw(st.integers(0, width - side)), data.draw(st.integers(0, height - side))
    box = np.array([[x, y, x + side, y + side]], np.float32)
    seen_well = [look for look in looks(width, height) if look.answers_for(box, width, height)[0]]
    assert seen_well
    best = max(
        min(
            x - look.tile.left if look.tile.left else math.inf,
            y - look.tile.top if look.tile.top else math.inf,
            look.tile.right - x - side if look.tile.right < width else math.inf,
            look.tile.bottom - y - side if look.tile.bottom < height else math.inf,
        )
        * look.level.scale
        for look in seen_well
    )
    assert best >= CONTEXT


def test_squares_at_the_edges_of_tiles_are_found_once(detector: Detector) -> None:
    width, height = 6000, 4000
    finest = [look.tile for look in looks(width, height) if look.level.scale == 1]
    assert len(finest) > 4
    edges_x = sorted({x for t in finest for x in (t.left, t.right) if 0 < x < width})
    edges_y = sorted({y for t in finest for y in (t.top, t.bottom) if 0 < y < height})
    squares: list[Square] = [
        (x - side // 2 + shift, y - side // 2 - shift, side, "red" if i % 2 else "blue")
        for i, (x, side) in enumerate(zip(edges_x, (8, 40, 120, 200, 250, 64, 16, 90), strict=False))
        for y, shift in zip(edges_y, (0, 31, -33, 60), strict=False)
    ]
    squares += [(0, 0, 100, "red"), (width - 30, height - 30, 30, "blue"), (2900, height - 150, 150, "red")]
    assert_each_is_found_once(detector(picture_of(width, height, squares)), squares)


def test_large_squares_are_found_once_and_without_their_parts(detector: Detector) -> None:
    squares: list[Square] = [
        (100, 100, 2600, "red"),
        (3000, 200, 1200, "blue"),
        (3000, 1800, 700, "red"),
        (4500, 300, 500, "blue"),
        (4500, 1900, 260, "red"),
        (5300, 1900, 30, "blue"),
        (3600, 2900, 400, "blue"),
    ]
    assert_each_is_found_once(detector(picture_of(6000, 4000, squares)), squares)


@settings(max_examples=25)
@given(st.data())
def test_a_square_of_any_size_is_found_once_anywhere(data: st.DataObject) -> None:
    detector = Detector(SquareFinder(), size="auto", attributes=("colour",))
    width, height = data.draw(st.integers(60, 4500)), data.draw(st.integers(60, 4500))
    smallest = max(8, math.ceil(8 * max(width, height) / VGA) if max(width, height) < VGA else 8)
    side = data.draw(st.integers(min(smallest, width, height), min(width, height)))
    x, y = data.draw(st.integers(0, width - side)), data.draw(st.integers(0, height - side))
    # From 280 of 320 pixels up, not even the coarsest level sees it.
    if side * COARSEST / max(width, height) < 270:
        squares: list[Square] = [(x, y, side, "blue")]
        assert_each_is_found_once(detector(picture_of(width, height, squares)), squares)


def test_at_original_size_the_same_large_square_falls_apart(detector: Detector) -> None:
    pixels = picture_of(1600, 1200, [(300, 200, 800, "red")])
    assert len(detector(pixels, size="original")) == 2
    assert len(detector(pixels)) == 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 50), (50, 20_000), (2, 3000)])
def test_odd_shapes(detector: Detector, width: int, height: int) -> None:
    faces = detector(np.full((height, width, 3), 255, np.uint8))
    assert (faces.boxes <= [width, height, width, height]).all()


def test_a_picture_without_squares(detector: Detector) -> None:
    faces = detector(np.zeros((700, 900, 3), np.uint8))
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert set(faces.attributes) == {"colour", "colour_probability"}


def test_more_faces_are_found_than_one_look_may_have() -> None:
    squares: list[Square] = [(x, y, 10, "red") for x in range(20, 4000, 100) for y in range(20, 3000, 100)]
    detector = Detector(SquareFinder(), size="auto", attributes=("colour",), after_nms=500)
    assert len(squares) > 1000
    assert_each_is_found_once(detector(picture_of(4000, 3000, squares)), squares)


def test_a_file_is_decoded_at_its_full_size(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    squares: list[Square] = [(1507, 911, 12, "red")]
    cv2.imwrite(str(path), picture_of(3000, 2000, squares), [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert detector.prepare(path).pixels.shape == (2000, 3000, 3)
    assert_each_is_found_once(detector(path), squares)


def test_a_picture_prepared_at_a_reduced_scale_gives_boxes_of_the_full_one(
    detector: Detector, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    squares: list[Square] = [(800, 400, 400, "blue")]
    cv2.imwrite(str(path), picture_of(3000, 2000, squares))
    reduced = detector.prepare(path, size=640)
    assert reduced.pixels.shape[0] < 2000
    assert_each_is_found_once(detector.find(reduced, size="auto"), squares)


def test_memory_beyond_the_picture_is_that_of_a_tile() -> None:
    pixels = np.zeros((5000, 8000, 3), np.uint8)
    pixels[4000:4020, 7000:7020] = COLOURS["red"]
    runtime = SquareFinder()
    detector = Detector(runtime, size="auto")
    tracemalloc.start()
    try:
        assert len(detector(pixels)) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * TILE * TILE * 3 < pixels.nbytes
    assert max(max(shape) for shape in runtime.shapes) <= TILE


def found(look: Look, *faces: tuple[list[float], float]) -> tuple[Look, Faces]:
    boxes = np.array([box for box, _ in faces], np.float32).reshape(-1, 4)
    return look, Faces(boxes, np.array([score for _, score in faces], np.float32))


WHOLE = Tile(0, 0, 1000, 1000)
FINE = Look(Level(1.0, under=256), WHOLE)
COARSE = Look(Level(0.25, over=128), WHOLE)
FACE_OF_600 = [100.0, 100, 700, 700]


@pytest.mark.parametrize(
    ("part", "score", "left"),
    [
        ([200.0, 200, 400, 400], 0.7, 1),  # inside, weaker
        ([200.0, 200, 400, 400], 0.9, 2),  # inside, but the better one: another face, before the large one
        ([20.0, 200, 220, 400], 0.7, 2),  # sticks out by 40%
        ([720.0, 200, 900, 400], 0.7, 2),  # beside
        ([100.0, 100, 400, 400], 0.9, 1),  # too large for its level
    ],
)
def test_parts_of_a_face_that_only_a_coarser_level_knows(part: list[float], score: float, left: int) -> None:
    merged = merge([found(FINE, (part, score)), found(COARSE, (FACE_OF_600, 0.8))], 1000, 1000)
    assert len(merged) == left
    assert FACE_OF_600 in merged.boxes.tolist()
    assert merged.scores.tolist() == sorted(merged.scores.tolist(), reverse=True)


def test_two_faces_of_one_look_stay_even_if_one_lies_in_the_other() -> None:
    both = found(COARSE, (FACE_OF_600, 0.8), ([200.0, 200, 400, 400], 0.7))
    assert len(merge([found(FINE), both], 1000, 1000)) == 2


def test_half_a_face_beside_the_edge_of_a_tile_goes() -> None:
    left, right = Look(FINE.level, Tile(0, 0, 600, 1000)), Look(FINE.level, Tile(300, 0, 1000, 1000))
    half, whole = ([480.0, 300, 560, 400], 0.6), ([490.0, 250, 690, 450], 0.9)
    merged = merge([found(left, half), found(right, whole)], 1000, 1000)
    assert merged.boxes.tolist() == [whole[0]]


@pytest.mark.parametrize("enlarged", [1, 3, 7])
def test_the_bundled_weights_find_an_enlarged_face_once(enlarged: int) -> None:
    left, top, right, bottom = 100, 0, 350, 270
    portrait = cv2.imread(str(EXAMPLE))[top:bottom, left:right]
    portrait = cv2.resize(portrait, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    faces = s3fd.load(threads=1, size="auto")(portrait)
    face = (FACE - np.array([left, top, left, top], np.float32)) * enlarged
    assert len(faces) == 1
    assert box_ops.iou(faces.boxes, face)[0, 0] > 0.6
