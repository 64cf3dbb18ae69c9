"""Clustering of faces by person, without names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray

try:
    from scipy.cluster.hierarchy import fcluster, linkage
except ImportError as error:
    raise ImportError("clustering needs SciPy: pip install 's3fd[eval]'") from error

MOST = 20_000
"""Maximum number of faces to cluster: their pairwise distances take 3.2 GB, half of it for SciPy's copy."""


def cluster(vectors: FloatArray, pictures: NDArray[np.integer], threshold: float) -> NDArray[np.int64]:
    """Assign a person number (N,) to each face; 0 is the person with the most faces.

    Agglomerative clustering with average linkage: two groups are merged while the mean cosine between their
    faces is `threshold` or more, and no picture shows both: nobody appears twice in a photograph.

    Args:
        vectors: (N, D) of length 1.
        pictures: (N,) the picture that each face is in; faces in the same picture are different people.
        threshold: a cosine, -1 to 1.

    Raises:
        ValueError: there are more than `MOST` faces.
    """
    count = len(vectors)
    if count > MOST:
        raise ValueError(f"cannot cluster more than {MOST} faces at once")
    if count < 2:
        return np.zeros(count, np.int64)
    apart = float(count**2)  # the mean over all pairs of two groups is then above 2, the most of others
    distances = np.empty(count * (count - 1) // 2)
    start = 0
    for i in range(count - 1):
        row = 1 - vectors[i + 1 :] @ vectors[i]
        row[pictures[i + 1 :] == pictures[i]] = apart
        distances[start : start + len(row)] = row
        start += len(row)
    labels = fcluster(linkage(distances, method="average"), 1 - threshold, criterion="distance")
    _, first, number, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[number]


def together(people: Sequence[str], pictures: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count, for each pair of people, the pictures that show both.

    The names of a pair are in the order in which they first appear in `people`.

    Args:
        people: (N,) the name that belongs to each face.
        pictures: (N,) the picture that each face is in.
    """
    order = {name: i for i, name in enumerate(dict.fromkeys(people))}
    shown: dict[str, set[str]] = {}
    for name, picture in zip(people, pictures, strict=True):
        shown.setdefault(picture, set()).add(name)
    return Counter(
        pair for names in shown.values() for pair in combinations(sorted(names, key=order.__getitem__), 2)
    )
