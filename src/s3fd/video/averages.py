"""What a track's detections tell together of its face."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.faces import Faces
from s3fd.inference.detector import answers


class Averages:
    """The mean probabilities of each track's attributes so far.

    Each detection counts by its score and its area, as each face of a picture does for `s3fd classify`:
    a face that is small or hardly one tells little. Nothing is decided before the mean is taken, so that
    a detection that would be left open by itself counts too.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        """Begin with nothing known; `classes` are those of each attribute."""
        self._classes = classes
        self._sums: dict[int, dict[str, NDArray[np.float64]]] = {}

    def add(self, tracks: Collection[int], faces: Faces) -> None:
        """Add the detections of a frame, with probabilities (N, classes) of each attribute."""
        weights = np.maximum(faces.scores * boxes.area(faces.boxes), np.finfo(np.float32).tiny)
        for i, track in enumerate(tracks):
            sums = self._sums.setdefault(int(track), {})
            for name, probabilities in faces.attributes.items():
                weighted = float(weights[i]) * probabilities[i].astype(np.float64)
                sums[name] = sums.get(name, np.zeros_like(weighted)) + weighted

    def told(self, tracks: Sequence[int], min_probability: float) -> dict[str, NDArray[Any]]:
        """Columns as the detector gives them: each attribute's class or None, and how probable it is."""
        columns: dict[str, NDArray[Any]] = {}
        for name, classes in self._classes.items():
            means = np.zeros((len(tracks), len(classes)), np.float32)
            for i, track in enumerate(tracks):
                total = self._sums[int(track)][name]
                means[i] = total / total.sum()
            columns |= answers(name, classes, means, min_probability)
        return columns

    def forget(self, tracks: Collection[int]) -> None:
        """Forget tracks that are over."""
        for track in tracks:
            self._sums.pop(track, None)
