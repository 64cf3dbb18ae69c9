"""Positions of faces over time: at detections, between them, and shortly before and after them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray


class Moment(NamedTuple):
    """The faces at one moment.

    Attributes:
        tracks: (N,) the track of each face.
        boxes: (N, 4) float32, xyxy in pixels; they may extend beyond the frame.
        scores: (N,) float32; linearly interpolated over time between two detections.
        detected: (N,) bool, whether the face was detected at exactly this moment.
    """

    tracks: NDArray[np.intp]
    boxes: FloatArray
    scores: FloatArray
    detected: NDArray[np.bool_]


@dataclass(frozen=True)
class Reach:
    """How far detections extend in time, and how boxes grow where a face is not detected.

    Attributes:
        between: longest gap between two detections of a face that is filled, in seconds. The time between two
            successive updates is always filled.
        before: seconds before its first detection for which a face is assumed to be in the same place.
        after: seconds after its last detection for which a face is assumed to be in the same place. Until the
            next update, it is always assumed to be there.
        growth: fraction of its width and height by which a box grows on each side, for every second to the
            nearest detection.
    """

    between: float
    before: float = 0.0
    after: float = 0.0
    growth: float = 0.0


@dataclass
class _Seen:
    """The detections of one track, ordered by time."""

    times: list[float] = field(default_factory=list)
    boxes: list[FloatArray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


class Timeline:
    """Keeps recent detections by track, and returns the positions of faces at any time."""

    def __init__(self, reach: Reach) -> None:
        """Start without detections."""
        self._reach = reach
        self._updates: list[float] = []
        self._seen: dict[int, _Seen] = {}

    def __contains__(self, track: int) -> bool:
        """Whether a track has not been forgotten."""
        return track in self._seen

    def add(self, time: float, tracks: Iterable[int], boxes: FloatArray, scores: FloatArray) -> None:
        """Add the detections of an update, which may be empty. Updates must be added in the order of time."""
        self._updates.append(time)
        for track, box, score in zip(tracks, boxes, scores, strict=True):
            seen = self._seen.setdefault(int(track), _Seen())
            seen.times.append(time)
            seen.boxes.append(box)
            seen.scores.append(float(score))

    def at(self, time: float) -> Moment:
        """Return the faces at a time that has not been forgotten (see `forget`)."""
        found = [(track, *face) for track, seen in self._seen.items() if (face := self._face(seen, time))]
        return Moment(
            np.array([track for track, *_ in found], dtype=np.intp),
            np.array([box for _, box, _, _ in found], dtype=np.float32).reshape(-1, 4),
            np.array([score for _, _, score, _ in found], dtype=np.float32),
            np.array([detected for *_, detected in found], dtype=np.bool_),
        )

    def forget(self, time: float, alive: Collection[int]) -> None:
        """Forget detections not needed after `time`, and ended tracks: out of reach and not `alive`."""
        del self._updates[: max(0, bisect_right(self._updates, time) - 1)]
        for track, seen in list(self._seen.items()):
            past = bisect_right(seen.times, time) - 1
            if past > 0:
                del seen.times[:past], seen.boxes[:past], seen.scores[:past]
            since = time - seen.times[-1]
            if track not in alive and since > self._reach.after and self._updates_in(seen.times[-1], time):
                del self._seen[track]

    def _face(self, seen: _Seen, time: float) -> tuple[FloatArray, float, bool] | None:
        """Return a track's box, score and whether it was detected at a time; None if it is absent."""
        i = bisect_left(seen.times, time)
        if i < len(seen.times) and seen.times[i] == time:
            return seen.boxes[i], seen.scores[i], True
        since = time - seen.times[i - 1] if i else None
        until = seen.times[i] - time if i < len(seen.times) else None
        if since is not None and until is not None:
            last, following = seen.times[i - 1], seen.times[i]
            if following - last <= self._reach.between or self._updates_in(last, following) == 1:
                return self._between(seen, i, since / (following - last), min(since, until))
        if since is not None and (since <= self._reach.after or not self._updates_in(time - since, time)):
            return self._grown(seen.boxes[i - 1], since), seen.scores[i - 1], False
        if until is not None and until <= self._reach.before:
            return self._grown(seen.boxes[i], until), seen.scores[i], False
        return None

    def _between(
        self, seen: _Seen, following: int, share: float, nearest: float
    ) -> tuple[FloatArray, float, bool]:
        """Interpolate box and score a `share` of the way from the detection before to `following`.

        The nearest detection is `nearest` seconds away.
        """
        box = seen.boxes[following - 1] + np.float32(share) * (
            seen.boxes[following] - seen.boxes[following - 1]
        )
        score = seen.scores[following - 1] + share * (seen.scores[following] - seen.scores[following - 1])
        return self._grown(box, nearest), score, False

    def _updates_in(self, start: float, end: float) -> int:
        """Count the updates after `start`, up to and including `end`."""
        return bisect_right(self._updates, end) - bisect_right(self._updates, start)

    def _grown(self, box: FloatArray, seconds: float) -> FloatArray:
        """Return a box that has grown for some seconds."""
        if not self._reach.growth:
            return box
        margin = self._reach.growth * seconds * (box[2:] - box[:2])
        grown: FloatArray = np.concatenate([box[:2] - margin, box[2:] + margin])
        return grown
