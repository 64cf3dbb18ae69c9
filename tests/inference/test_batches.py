from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.inference.batches import WINDOW, Shape, capacity, in_batches, passes
from s3fd.inference.resize import MAX_INPUT_PIXELS

SHAPES: list[Shape] = [(640, 480), (480, 640), (8, 8), (4000, 4000), (5000, 1000)]
"""Of the last two, one and three fit into a pass."""

shapes = st.lists(st.sampled_from(SHAPES), max_size=60)


def test_capacity() -> None:
    assert capacity((640, 480), 8) == 8
    assert capacity((5000, 1000), 8) == 3
    assert capacity((4000, 4000), 8) == 1
    assert capacity((9000, 9000), 8) == 1
    assert capacity((250_000, 1), 8) == 2  # the network computes 250,000 × 32


@given(shapes)
def test_every_picture_is_in_one_pass_with_others_of_its_shape(shapes: list[Shape]) -> None:
    found = passes(shapes, len(shapes))
    assert sorted(i for indices in found for i in indices) == list(range(len(shapes)))
    for indices in found:
        assert len({shapes[i] for i in indices}) == 1
        width, height = shapes[indices[0]]
        assert len(indices) * width * height <= MAX_INPUT_PIXELS


@given(st.lists(st.none() | st.sampled_from(SHAPES), max_size=60), st.integers(1, 8))
def test_results_are_those_of_one_at_a_time_in_order(shapes: list[Shape | None], batch: int) -> None:
    taken, groups = 0, []

    def items():  # type: ignore[no-untyped-def]
        nonlocal taken
        for i, shape in enumerate(shapes):
            taken = i + 1
            yield i, shape

    def work(group: list[tuple[int, Shape | None]]) -> list[int]:
        groups.append([shape for _, shape in group])
        assert all(taken - i <= WINDOW * batch for i, _ in group)
        return [10 * i for i, _ in group]

    results = []
    for result in in_batches(work, items(), lambda item: item[1], batch):
        results.append(result)
        assert taken - len(results) < WINDOW * batch
    assert results == [10 * i for i in range(len(shapes))]
    for group in groups:
        assert len(set(group)) == 1
        assert len(group) <= (1 if group[0] is None else capacity(group[0], batch))


def test_batches_are_full_where_shapes_repeat() -> None:
    items = [SHAPES[i % 3] for i in range(24)]
    lengths: list[int] = []

    def work(group: list[Shape]) -> list[Shape]:
        lengths.append(len(group))
        return group

    assert list(in_batches(work, items, lambda shape: shape, 4)) == items
    assert lengths == [4] * 6


def test_few_pixels_wait() -> None:
    """Twelve pictures of 10 megapixels, each of a shape of its own: only six are held back."""
    taken = []

    def items():  # type: ignore[no-untyped-def]
        for i in range(12):
            taken.append(i)
            yield (10_000, 1000 + i)

    next(in_batches(lambda group: group, items(), lambda shape: shape, 8))
    assert len(taken) * 10_000_000 <= WINDOW * MAX_INPUT_PIXELS + 10_000_000


def test_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch"):
        in_batches(list, [1], lambda item: None, 0)
