"""Tracking by a Kalman filter and box overlap, with the library norfair."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s3fd import boxes
from s3fd.boxes import FloatArray

if TYPE_CHECKING:
    from norfair import TrackedObject

LEAST_OVERLAP = 0.2
"""Minimum IoU between a box and the predicted box of a track for the two to match. Pairs that overlap most
are matched first, so the low bound matters only if there is no better match."""

CONFIRMED_AFTER = 1
"""Detections after the first that confirm a track: a single detection is mostly a false positive."""


class Tracker:
    """Links the detections in successive frames into tracks, which are numbered from 1.

    It behaves the same at every resolution: norfair's filter is linear, and overlaps are relative.
    """

    def __init__(self, gap: float) -> None:
        """Start without tracks.

        A track ends when it missed an update and was not seen for more than `gap` seconds. Time counts rather
        than updates: frames may be uneven, and a slow network skips those of a camera.
        """
        from norfair import Tracker as Norfair
        from norfair import VectorizedDistance

        self._tracker = Norfair(
            "iou",
            distance_threshold=1 - LEAST_OVERLAP,
            hit_counter_max=sys.maxsize,
            initialization_delay=CONFIRMED_AFTER,
            past_detections_length=0,
        )
        # norfair's own IoU warns about every box that the filter's prediction has turned inside out.
        self._tracker.distance_function = VectorizedDistance(_distance)
        self._gap = gap
        self._update, self._time = 0, 0.0

    @property
    def alive(self) -> set[int]:
        """The tracks that may still continue."""
        return {_number(track) for track in self._continuing(self._time)}

    def update(self, found: FloatArray, time: float) -> tuple[NDArray[np.intp], set[int]]:
        """Add the boxes (N, 4) in the next frame, in pixels of the video, which is shown at `time` seconds.

        Returns:
            The track of each box, (N,), and the tracks that were seen at least twice in a row.
        """
        from norfair import Detection

        self._tracker.tracked_objects = self._continuing(time)
        self._update, self._time = self._update + 1, time
        self._tracker.update(
            [
                Detection(box.reshape(2, 2), data=(self._update, i, time))
                for i, box in enumerate(found.astype(np.float64))
            ]
        )
        tracks = np.zeros(len(found), dtype=np.intp)
        confirmed = set()
        for track in self._tracker.tracked_objects:
            update, i, _ = track.last_detection.data
            if update == self._update:
                tracks[i] = _number(track)
            if not track.is_initializing:
                confirmed.add(_number(track))
        return tracks, confirmed

    def _continuing(self, time: float) -> list[TrackedObject]:
        """Return the tracks that can be seen again at `time`."""
        continuing = []
        for track in self._tracker.tracked_objects:
            update, _, seen = track.last_detection.data
            lost = update < self._update and time - seen > self._gap
            if track.hit_counter_is_positive and not lost:
                continuing.append(track)
        return continuing


def _number(track: TrackedObject) -> int:
    """Return the number that norfair assigns to a track when it is first seen."""
    return int(track.initializing_id or 0)


def _distance(candidates: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one minus the IoU of each pair of boxes, (N, M)."""
    return 1.0 - boxes.iou(candidates, expected)  # type: ignore[arg-type, return-value]
