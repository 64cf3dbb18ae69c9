"""A line a track: when a face was there, and what was told of it in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3fd.video.follow import TrackedFrame


@dataclass(frozen=True)
class Track:
    """One face, from where it came to where it was last there.

    Attributes:
        number: as in the frames.
        first: number of the first frame with it.
        last: number of the last frame with it.
        start: time of the first frame in seconds.
        end: time of the last frame in seconds.
        frames: how many frames show it, with those between detections.
        detections: how many times it was detected.
        score: its best.
        box: (left, top, right, bottom) in pixels where it scored best.
        best: number of the frame where it scored best.
        attributes: name and probability of each, of the whole track.
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
        """Return the JSON-ready track."""
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
    """Puts the tracks of successive frames together; only those that may go on are remembered."""

    def __init__(self, gap: float) -> None:
        """Begin; a track is over once it was not there for `gap` seconds."""
        self._gap = gap
        self._open: dict[int, Track] = {}

    def add(self, frame: TrackedFrame) -> list[Track]:
        """Take the next frame; return the tracks that are over by now, in the order of their numbers."""
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
        """Return the tracks that are left, when no more frames come."""
        return self._take(list(self._open))

    def _take(self, numbers: list[int]) -> list[Track]:
        """Take these tracks out, sorted."""
        return [self._open.pop(number) for number in sorted(numbers)]
