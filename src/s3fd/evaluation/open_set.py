"""Is it one of ours, and who? Open-set identification, where most faces may be of strangers.

Phillips, Grother and Micheals, "Evaluation methods in face recognition" (Handbook of Face Recognition, 2011),
section 21.3: the detection and identification rate over the rate of false identifications.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """What a gallery gets right of its people, over the strangers it takes for them.

    Both rise as the threshold falls.

    Attributes:
        thresholds: (T,), falling; a score at or over one names somebody.
        false_identifications: (T,) share of strangers' faces that are taken for somebody.
        identifications: (T,) share of faces of people in the gallery that are given the right name.
    """

    thresholds: NDArray[np.float64]
    false_identifications: NDArray[np.float64]
    identifications: NDArray[np.float64]

    def at(self, false_identifications: float) -> float:
        """Largest share of right names with no more than these `false_identifications` (0–1)."""
        allowed = self.false_identifications <= false_identifications
        return float(self.identifications[allowed].max(initial=0))


def open_set(
    scores: NDArray[np.floating[Any]], right: NDArray[np.bool_], strangers: NDArray[np.floating[Any]]
) -> OpenSetCurve:
    """The curve of faces of people in the gallery and of strangers.

    Args:
        scores: (N,) of the person most like each face of somebody in the gallery.
        right: (N,) whether that is who it is.
        strangers: (M,) of the person most like each face of a stranger.

    Raises:
        ValueError: no face of one kind.
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
