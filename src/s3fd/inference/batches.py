"""Batches of pictures of different sizes: those that the network sees at the same size share a pass.

No picture is padded to the size of another: padding would change what the network finds near it, and spend
time on pixels that belong to no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from s3fd.inference.resize import MAX_INPUT_PIXELS, input_pixels

T = TypeVar("T")
R = TypeVar("R")

Shape = tuple[int, int]
"""(width, height) in pixels at which the network sees a picture."""

WINDOW = 4
"""Number of batches for which a picture waits for others of its shape. A larger number fills more batches,
but holds back more pictures."""


def capacity(shape: Shape, batch: int) -> int:
    """Number of pictures of `shape` that share a pass: `batch`, or as many as `MAX_INPUT_PIXELS` allows."""
    return max(1, min(batch, MAX_INPUT_PIXELS // input_pixels(*shape)))


def passes(shapes: Sequence[Shape], batch: int) -> list[list[int]]:
    """Indices of the pictures that share a pass, at most `batch`, pass by pass; each is in one pass."""
    same: dict[Shape, list[int]] = {}
    for i, shape in enumerate(shapes):
        same.setdefault(shape, []).append(i)
    result = []
    for shape, indices in same.items():
        step = capacity(shape, batch)
        result += [indices[i : i + step] for i in range(0, len(indices), step)]
    return result


def in_batches(
    function: Callable[[list[T]], Sequence[R]],
    items: Iterable[T],
    shape: Callable[[T], Shape | None],
    batch: int,
) -> Iterator[R]:
    """Apply `function` to lists of items of the same shape; the results come in the order of the items.

    An item waits until there are `batch` items of its shape, or as many as `capacity` allows. It waits at
    most until `WINDOW` times `batch` items have been taken, including itself, or until `WINDOW` times
    `MAX_INPUT_PIXELS` pixels are waiting. Then it is processed with the waiting items of its shape. An item
    without a shape is processed alone and at once.

    Raises:
        Exception: what `function` raises.
        ValueError: a `batch` under 1.
    """
    if batch < 1:
        raise ValueError(f"batch must be 1 or more, not {batch}")
    return _sorted(
        (i, result)
        for group in _groups(items, shape, batch)
        for (i, _), result in zip(group, function([item for _, item in group]), strict=True)
    )


def _groups(
    items: Iterable[T], shape: Callable[[T], Shape | None], batch: int
) -> Iterator[list[tuple[int, T]]]:
    """Yield groups of items, with their indices, that are processed together."""
    waiting: dict[Shape, list[tuple[int, T]]] = {}  # the group with the oldest item comes first
    for i, item in enumerate(items):
        seen = shape(item)
        if seen is None:
            yield [(i, item)]
        else:
            group = waiting.setdefault(seen, [])
            group.append((i, item))
            if len(group) == capacity(seen, batch):
                yield waiting.pop(seen)
        while waiting and _too_long(waiting, i, batch):
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _too_long(waiting: Mapping[Shape, list[tuple[int, T]]], newest: int, batch: int) -> bool:
    """Whether the oldest item has waited for `WINDOW` batches, or too many pixels are waiting."""
    oldest = next(iter(waiting.values()))[0][0]
    pixels = sum(input_pixels(*shape) * len(group) for shape, group in waiting.items())
    return newest - oldest + 1 >= WINDOW * batch or pixels >= WINDOW * MAX_INPUT_PIXELS


def _sorted(results: Iterable[tuple[int, R]]) -> Iterator[R]:
    """Yield results in the order of their indices 0, 1, 2, …, each as soon as all before it are there."""
    early: dict[int, R] = {}
    following = 0
    for i, result in results:
        early[i] = result
        while following in early:
            yield early.pop(following)
            following += 1
