"""Which detection belongs to which face: a Kalman filter and overlap, by the library norfair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.boxes import FloatArray

if TYPE_CHECKING:
    from norfair import TrackedObject

SCALE = 640
"""Pixels that the longer side of a video counts in the tracker. Norfair's filter expects noise of some
pixels; like this it does the same at every resolution."""

LEAST_OVERLAP = 0.2
"""Intersection over union from which a box may be of the face that was expected there. Those that overlap
most are joined first, so that a low bound matters only where nothing better is left."""

CONFIRMED_AFTER = 1
"""Detections after the first that make a track: what is seen once and never again is mostly no face."""


class Tracker:
    """Joins the detections of successive frames to tracks, each known by a number from 1."""

    def __init__(self, longest_side: int, patience: int) -> None:
        """Prepare for frames with a longest side of so many pixels.

        A track ends when it was not seen in more than `patience` updates in a row, at least 2.
        """
        from norfair import Tracker as Norfair
        from norfair import VectorizedDistance

        self._scale = SCALE / longest_side
        self._tracker = Norfair(
            "iou",
            distance_threshold=1 - LEAST_OVERLAP,
            hit_counter_max=max(patience, CONFIRMED_AFTER + 1),
            initialization_delay=CONFIRMED_AFTER,
            past_detections_length=0,
        )
        # norfair's own overlap warns of every box that the filter, while it predicts, turns inside out.
        self._tracker.distance_function = VectorizedDistance(_distance)
        self._update = 0

    @property
    def alive(self) -> set[int]:
        """The tracks that may still be seen again."""
        return {_number(track) for track in self._tracker.tracked_objects if track.hit_counter_is_positive}

    def update(self, found: FloatArray) -> tuple[NDArray[np.intp], set[int]]:
        """Take the boxes (N, 4) of the next frame, in pixels of the video.

        Returns:
            The track of each box, (N,), and the tracks that were seen twice in a row at least.
        """
        from norfair import Detection

        self._update += 1
        self._tracker.update(
            [
                Detection(box.reshape(2, 2), data=(self._update, i))
                for i, box in enumerate(found.astype(np.float64) * self._scale)
            ]
        )
        tracks = np.zeros(len(found), dtype=np.intp)
        confirmed = set()
        for track in self._tracker.tracked_objects:
            update, i = track.last_detection.data
            if update == self._update:
                tracks[i] = _number(track)
            if not track.is_initializing:
                confirmed.add(_number(track))
        return tracks, confirmed


def _number(track: TrackedObject) -> int:
    """The number that norfair gives a track when it is first seen."""
    return int(track.initializing_id or 0)


def _distance(candidates: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """One minus the overlap of each pair of boxes, (N, M)."""
    return 1.0 - boxes.iou(candidates, expected)  # type: ignore[arg-type, return-value]
