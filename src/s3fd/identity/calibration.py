"""Thresholds calibrated on people who are not in the gallery."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.identity.store import Calibration, GalleryError, Store, composed


def threshold_at(scores: FloatArray, rate: float) -> float:
    """Return the lowest threshold that at most a fraction `rate` (0–1) of impostor `scores` (N,) reach.

    Raises:
        ValueError: `rate` is not between 0 and 1, or there are too few scores to distinguish it from 0.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the rate must be between 0 and 1, not {rate}")
    allowed = math.floor(rate * len(scores) + 1e-9)
    if allowed < 1:
        raise ValueError(
            f"a rate of {rate:g} needs at least {math.ceil(1 / rate)} comparisons, not {len(scores)}"
        )
    highest_refused = np.sort(scores)[::-1][allowed]
    return float(np.nextafter(highest_refused, np.inf, dtype=np.float32))  # scores are float32


def calibrate(store: Store, strangers: Mapping[str, FloatArray], rate: float) -> Calibration:
    """Compute the lowest thresholds at which at most a fraction `rate` of comparisons are false accepts.

    Each stranger's face is compared with the whole gallery for ``identify``, and with each person in it for
    ``verify``; the best of a person's vectors counts. For ``pairs``, the faces of different strangers are
    compared with each other.

    Args:
        store: the gallery as it will be used: the more vectors it holds, the higher the best score of a
            stranger.
        strangers: vectors (N, D) of each of several people who are not in the gallery.
        rate: target false accept rate, 0–1.

    Raises:
        GalleryError: the gallery is empty, or one of the strangers is in it.
        ValueError: `rate` is not between 0 and 1, or there are too few faces for it.
    """
    people = store.people()
    if not people:
        raise GalleryError("thresholds depend on who is in the gallery: add people first")
    if known := sorted({composed(name) for name in people} & {composed(name) for name in strangers}):
        raise GalleryError(f"{known[0]!r} is in the gallery: calibrate with people who are not in it")
    faces = [vector for vectors in strangers.values() for vector in vectors]
    matches = (store.search(vector, len(people)) for vector in faces)
    scores = [np.array([match.score for match in best_first], np.float32) for best_first in matches]
    pairs = [(a @ b.T).ravel() for a, b in combinations(strangers.values(), 2)]
    return Calibration(
        identify=threshold_at(_joined([row[:1] for row in scores]), rate),
        verify=threshold_at(_joined(scores), rate),
        false_accepts=rate,
        faces=len(faces),
        vectors=sum(people.values()),
        pairs=threshold_at(_joined(pairs), rate),
    )


def _joined(scores: Sequence[FloatArray]) -> FloatArray:
    """Join arrays of scores, of which there may be none."""
    return np.concatenate([np.zeros(0, np.float32), *scores])
