from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3fd.inference.tiles import Tile, inside, tiles

LENGTHS = st.integers(1, 5000)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Width, height, side and overlap that give at most some hundred tiles."""
    width, height = draw(LENGTHS), draw(LENGTHS)
    side = draw(st.integers(1, 6000))
    overlap = draw(st.integers(0, side - 1))
    assume(max(width, height) / (side - overlap) < 20)
    return width, height, side, overlap


@given(layouts())
def test_tiles_are_inside_of_one_shape_and_no_larger_than_asked(layout: tuple[int, int, int, int]) -> None:
    width, height, side, overlap = layout
    found = tiles(width, height, side, overlap)
    assert len({tile.size for tile in found}) == 1
    assert 1 <= max(found[0].size) <= side
    assert len(set(found)) == len(found)
    for tile in found:
        assert 0 <= tile.left < tile.right <= width
        assert 0 <= tile.top < tile.bottom <= height


@given(layouts())
def test_every_pixel_is_in_a_tile_and_neighbours_overlap(layout: tuple[int, int, int, int]) -> None:
    width, height, side, overlap = layout
    found = tiles(width, height, side, overlap)
    for low, high, length in (("left", "right", width), ("top", "bottom", height)):
        spans = sorted({(getattr(tile, low), getattr(tile, high)) for tile in found})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        for (_, end), (start, _) in pairwise(spans):
            assert end - start >= overlap
    columns, rows = {tile.left for tile in found}, {tile.top for tile in found}
    assert {(tile.left, tile.top) for tile in found} == {(x, y) for x in columns for y in rows}


@given(layouts(), st.data())
def test_what_is_no_longer_than_the_overlap_is_whole_in_a_tile_with_its_margin(
    layout: tuple[int, int, int, int], data: st.DataObject
) -> None:
    width, height, side, overlap = layout
    margin = data.draw(st.integers(0, overlap // 2))
    box = []
    for length in (width, height):
        longest = min(overlap - 2 * margin, length)
        size = data.draw(st.integers(0, longest))
        start = data.draw(st.integers(0, length - size))
        box.append((start, start + size))
    corners = np.array([[box[0][0], box[1][0], box[0][1], box[1][1]]], np.float32)
    found = tiles(width, height, side, overlap)
    assert any(inside(corners, tile, margin, width, height)[0] for tile in found)


@given(layouts())
def test_there_are_no_more_tiles_than_needed(layout: tuple[int, int, int, int]) -> None:
    width, height, side, overlap = layout
    found = tiles(width, height, side, overlap)
    for starts, length in (({t.left for t in found}, width), ({t.top for t in found}, height)):
        fewer = len(starts) - 1
        assert fewer == 0 or fewer * side - (fewer - 1) * overlap < length


def test_a_picture_that_fits_is_one_tile() -> None:
    assert tiles(640, 480, 640, 100) == [Tile(0, 0, 640, 480)]
    assert tiles(641, 480, 640, 100) == [Tile(0, 0, 371, 480), Tile(270, 0, 641, 480)]


def test_tiles_go_row_by_row() -> None:
    corners = [(tile.left, tile.top) for tile in tiles(641, 641, 640, 100)]
    assert corners == [(0, 0), (270, 0), (0, 270), (270, 270)]


def test_only_edges_within_the_picture_cut() -> None:
    boxes = np.array([[0, 0, 50, 50], [60, 60, 95, 95], [60, 60, 91, 80], [-3, -3, 80, 80]], np.float32)
    assert inside(boxes, Tile(0, 0, 100, 100), 10, 200, 100).tolist() == [True, False, False, True]
    assert inside(boxes, Tile(0, 0, 100, 100), 10, 100, 100).all()
    shifts = np.array([[0, 0, 0, 0], *np.diag([-0.5, -0.5, 0.5, 0.5])], np.float32)
    within = np.array([110, 120, 190, 180], np.float32) + shifts
    assert inside(within, Tile(100, 110, 200, 190), 10, 300, 300).tolist() == [True, *[False] * 4]
    assert inside(boxes[:0], Tile(0, 0, 100, 100), 10, 200, 100).shape == (0,)


@pytest.mark.parametrize(
    "wrong", [(0, 10, 5, 1), (10, 0, 5, 1), (10, 10, 5, 5), (10, 10, 5, -1), (9, 9, 0, 0)]
)
def test_impossible_layouts_are_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot cover"):
        tiles(*wrong)
