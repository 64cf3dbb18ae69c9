"""Attributes of a track, averaged over its detections."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.faces import Faces
from s3fd.inference.detector import answers


class Averages:
    """Running means of the attribute probabilities of each track.

    Each detection is weighted by its score times its area: small and doubtful faces are less informative. The
    minimum probability applies to the mean only, so detections that are below it themselves count too.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        """Start without detections; `classes` are the classes of each attribute."""
        self._classes = classes
        self._sums: dict[int, dict[str, NDArray[np.float64]]] = {}

    def add(self, tracks: Collection[int], faces: Faces) -> None:
        """Add the detections in a frame, with the probabilities (N, classes) of each attribute."""
        weights = np.maximum(faces.scores * boxes.area(faces.boxes), np.finfo(np.float32).tiny)
        for i, track in enumerate(tracks):
            sums = self._sums.setdefault(int(track), {})
            for name, probabilities in faces.attributes.items():
                weighted = float(weights[i]) * probabilities[i].astype(np.float64)
                sums[name] = sums.get(name, np.zeros_like(weighted)) + weighted

    def told(self, tracks: Sequence[int], min_probability: float) -> dict[str, NDArray[Any]]:
        """Return columns as the detector does: the class (or None) and the probability of each attribute."""
        columns: dict[str, NDArray[Any]] = {}
        for name, classes in self._classes.items():
            means = np.zeros((len(tracks), len(classes)), np.float32)
            for i, track in enumerate(tracks):
                total = self._sums[int(track)][name]
                means[i] = total / total.sum()
            columns |= answers(name, classes, means, min_probability)
        return columns

    def forget(self, tracks: Collection[int]) -> None:
        """Forget tracks that have ended."""
        for track in tracks:
            self._sums.pop(track, None)
