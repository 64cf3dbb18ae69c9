from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from s3fd.identity.clustering import MOST, cluster, together
from s3fd.identity.vectors import normalise

A, B = np.eye(4, dtype=np.float32)[:2]


def near(direction: np.ndarray, seed: int, off: float = 0.1) -> np.ndarray:
    """A vector close to `direction`."""
    noise = np.random.default_rng(seed).normal(size=4) * off
    return normalise((direction + noise)[None].astype(np.float32))[0]


def test_faces_that_look_alike_are_one_person_and_the_most_frequent_comes_first() -> None:
    vectors = np.stack([near(B, 0), near(A, 1), near(A, 2), near(B, 3), near(A, 4)])
    assert cluster(vectors, np.arange(5), 0.7).tolist() == [1, 0, 0, 1, 0]
    assert len(set(cluster(vectors, np.arange(5), 0.9999).tolist())) == 5
    assert set(cluster(vectors, np.arange(5), -1.0).tolist()) == {0}


def test_the_mean_of_a_group_decides() -> None:
    # Along an arc neighbours are alike and its ends are not: a chain of neighbours must not join them.
    angles = np.linspace(0, np.pi / 2, 6)
    arc = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1).astype(np.float32)
    numbers = cluster(arc, np.arange(6), 0.9)
    assert numbers[0] != numbers[-1]


@pytest.mark.parametrize(("threshold", "numbers"), [(0.7, [0, 0, 0]), (0.8, [0, 0, 1])])
def test_groups_are_joined_by_their_mean_and_not_by_their_ends(threshold: float, numbers: list[int]) -> None:
    # The third face is like the others by cosines of 0.64 and 0.87: 0.75 on average.
    angles = np.radians([0, 20, 50])
    fan = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert cluster(fan, np.arange(3), threshold).tolist() == numbers


@pytest.mark.parametrize("degrees", [(0, 20, 90, 95), (90, 95, 0, 20), (0, 90, 95, 20), (90, 0, 20, 95)])
def test_of_people_with_equally_many_faces_the_one_seen_first_comes_first(degrees: tuple[int, ...]) -> None:
    angles = np.radians(degrees)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    numbers = cluster(vectors, np.arange(4), 0.7)
    assert numbers.tolist() == [int(abs(angle - degrees[0]) > 45) for angle in degrees]


def test_faces_of_one_picture_are_different_people() -> None:
    vectors = np.stack([A, near(A, 1), near(A, 2)])
    numbers = cluster(vectors, np.array([5, 5, 1]), 0.7)
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize("threshold", [0.5, 0.0, -1.0])
def test_faces_of_one_picture_are_different_people_however_alike_the_others_are(threshold: float) -> None:
    siblings = normalise(np.stack([A, A + 0.7 * B]))
    vectors = np.stack([near(siblings[i % 2], i, 0.05) for i in range(60)])
    pictures = np.arange(60)
    pictures[1] = 0  # of thirty pictures each, they share one
    numbers = cluster(vectors, pictures, threshold)
    assert numbers[0] != numbers[1]
    assert numbers.tolist() == [0, 1] * 30


@pytest.mark.parametrize("count", [0, 1])
def test_few_faces(count: int) -> None:
    assert cluster(np.tile(A, (count, 1)), np.arange(count), 0.5).tolist() == [0] * count


def test_more_faces_than_memory_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 20000 faces"):
        cluster(np.broadcast_to(A, (MOST + 1, 4)), np.arange(MOST + 1), 0.5)


def test_who_is_together_is_counted_by_picture() -> None:
    people = ["b", "a", "a", "b", "c", "b", "b"]
    pictures = ["1", "1", "2", "2", "2", "3", "3"]
    assert together(people, pictures) == {("b", "a"): 2, ("b", "c"): 1, ("a", "c"): 1}
