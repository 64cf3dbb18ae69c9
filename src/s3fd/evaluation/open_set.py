"""Open-set identification: is a face of somebody in the gallery, and of whom? Most may be strangers.

Phillips, Grother and Micheals, "Evaluation methods in face recognition" (Handbook of Face Recognition, 2011),
section 21.3: detection and identification rate over false identification rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """Share of gallery people identified correctly, over the share of strangers identified as somebody.

    Both rise as the threshold falls.

    Attributes:
        thresholds: (T,), descending; a face is identified if its score is at or over the threshold.
        false_identifications: (T,) share of strangers' faces that are identified as somebody.
        identifications: (T,) share of faces of people in the gallery that are given the right name.
    """

    thresholds: NDArray[np.float64]
    false_identifications: NDArray[np.float64]
    identifications: NDArray[np.float64]

    def at(self, false_identifications: float) -> float:
        """Return the largest share of right names at a share of at most `false_identifications` (0–1)."""
        allowed = self.false_identifications <= false_identifications
        return float(self.identifications[allowed].max(initial=0))


def open_set(
    scores: NDArray[np.floating[Any]], right: NDArray[np.bool_], strangers: NDArray[np.floating[Any]]
) -> OpenSetCurve:
    """Compute the open-set curve from faces of people in the gallery and of strangers.

    Args:
        scores: (N,) score of the most similar person for each face of somebody in the gallery.
        right: (N,) whether that person is the right one.
        strangers: (M,) score of the most similar person for each face of a stranger.

    Raises:
        ValueError: there are no faces of people in the gallery, or none of strangers.
    """
    if not len(scores) or not len(strangers):
        raise ValueError("an open-set curve needs faces of people in the gallery, and of strangers")
    thresholds = np.unique(np.concatenate([scores, strangers]).astype(np.float64))[::-1]
    named, taken = np.sort(scores[right]), np.sort(strangers)
    return OpenSetCurve(
        thresholds,
        (len(taken) - np.searchsorted(taken, thresholds)) / len(taken),
        (len(named) - np.searchsorted(named, thresholds)) / len(scores),
    )
