"""Summaries of tracks: when each face was visible, and its final attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3fd.video.follow import TrackedFrame


@dataclass(frozen=True)
class Track:
    """One face, from its first frame to its last.

    Attributes:
        number: track number, as in the frames.
        first: number of its first frame.
        last: number of its last frame.
        start: time of its first frame in seconds.
        end: time of its last frame in seconds.
        frames: number of frames with the face, including those where its box was filled in.
        detections: number of detections.
        score: best score.
        box: (left, top, right, bottom) in pixels in the frame with the best score.
        best: number of the frame with the best score.
        attributes: name and probability of each attribute, averaged over the whole track.
    """

    number: int
    first: int
    last: int
    start: float
    end: float
    frames: int
    detections: int
    score: float
    box: tuple[float, float, float, float]
    best: int
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "track": self.number,
            "first": self.first,
            "last": self.last,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "frames": self.frames,
            "detections": self.detections,
            "score": self.score,
            "best": self.best,
            "box": list(self.box),
            **self.attributes,
        }


class Summary:
    """Collects tracks from successive frames; only tracks that may continue are kept in memory."""

    def __init__(self, gap: float) -> None:
        """Start without tracks; a track ends when it is missing for more than `gap` seconds."""
        self._gap = gap
        self._open: dict[int, Track] = {}

    def add(self, frame: TrackedFrame) -> list[Track]:
        """Add the next frame; return the tracks that have ended by now, in the order of their numbers."""
        for face in frame.faces.to_dicts():
            number, box, detected = face.pop("track"), face.pop("box"), face.pop("detected")
            score = face.pop("score")
            before = self._open.get(number)
            better = before is None or score > before.score
            self._open[number] = Track(
                number,
                first=before.first if before else frame.number,
                last=frame.number,
                start=before.start if before else frame.time,
                end=frame.time,
                frames=(before.frames if before else 0) + 1,
                detections=(before.detections if before else 0) + detected,
                score=score if before is None or better else before.score,
                box=tuple(box) if before is None or better else before.box,
                best=frame.number if before is None or better else before.best,
                attributes=face,
            )
        return self._take([n for n, track in self._open.items() if frame.time - track.end > self._gap])

    def rest(self) -> list[Track]:
        """Return the remaining tracks after the last frame."""
        return self._take(list(self._open))

    def _take(self, numbers: list[int]) -> list[Track]:
        """Remove and return these tracks, sorted by number."""
        return [self._open.pop(number) for number in sorted(numbers)]
