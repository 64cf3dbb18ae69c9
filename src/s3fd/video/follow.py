"""Face tracking: detect every few frames, link detections into tracks, and interpolate between them."""

from __future__ import annotations

import math
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from s3fd import boxes
from s3fd.extras import missing
from s3fd.faces import Faces
from s3fd.inference.detector import Detector, load
from s3fd.inference.pictures import Picture, Pixels
from s3fd.inference.threads import ahead
from s3fd.video.averages import Averages
from s3fd.video.camera import Camera
from s3fd.video.frames import Frame, VideoFormat
from s3fd.video.reading import VideoFile
from s3fd.video.timeline import Reach, Timeline
from s3fd.video.tracker import Tracker

DECODED_AHEAD = 4
"""Number of frames decoded ahead of detection."""

MOST_WAITING = 256 * 2**20
"""Maximum size of the frames buffered for look-ahead, in bytes: a third of a second of 4K at 30 frames/s."""

GOES_ON = 0.5
"""Minimum score of a box that continues a track, as a fraction of the score that starts one. A face that
turns away scores less before it is lost, and a weak detection where a face was before is that face (the idea
of ByteTrack: Zhang et al., ECCV 2022)."""

DELAY = 0.5
"""Default look-ahead: seconds of video that are processed ahead of the frame that is returned."""

GAP = 1.0
"""Default number of seconds for which a face may be lost and still keep its track."""

HIDDEN_BEFORE = 0.5
"""Seconds for which a face is hidden before its first detection: it may have been blurred or turned away."""

SURE = 0.4
"""Score above which a face that was detected only once is also hidden before and after that frame. With a
lower score, a single detection is mostly a fold or a shadow, and hiding it for a second and a half would
cover much of the picture."""


@dataclass(frozen=True)
class TrackedFrame:
    """A frame with the tracked faces in it.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright.
        number: frame number, from 0.
        time: time in seconds since the first frame.
        faces: faces, best score first, with the columns ``track``, a number from 1 that stays with a face;
            ``detected``, False where the box was filled in rather than detected; and each attribute with its
            probability, averaged over the track so far.
    """

    pixels: Pixels
    number: int
    time: float
    faces: Faces


@dataclass(frozen=True)
class Following:
    """Settings for tracking faces.

    Attributes:
        every: detection interval in frames; boxes in the frames between are interpolated.
        delay: look-ahead: seconds of video that are processed ahead of the frame that is returned. Gaps of up
            to this length in a track are filled in. With 0, a frame is returned as soon as detection has
            run on it or on a later frame.
        gap: seconds for which a face may be lost and still keep its track.
        hiding: whether the faces are to be hidden. Every detection then counts. Faces that are detected twice
            or score above `SURE` are also returned for `HIDDEN_BEFORE` seconds (but at most `delay`) before
            the first detection and `gap` seconds after the last one. Where a face is not detected, its box
            grows on each side by its own width or height for every second to the nearest detection.
    """

    every: int = 1
    delay: float = DELAY
    gap: float = GAP
    hiding: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a value that is out of range."""
        if self.every < 1:
            raise ValueError(f"every must be 1 or more frames, not {self.every}")
        for what, seconds in (("delay", self.delay), ("gap", self.gap)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{what} must be 0 or more seconds, and finite, not {seconds}")

    @property
    def reach(self) -> Reach:
        """How far detections reach in time."""
        if self.hiding:
            return Reach(self.gap, before=min(HIDDEN_BEFORE, self.delay), after=self.gap, growth=1.0)
        return Reach(self.delay)


class Video(Protocol):
    """A video file or camera, used in a ``with`` block."""

    name: str
    format: VideoFormat

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        ...


def track(
    source: str | os.PathLike[str] | int,
    detector: Detector | None = None,
    *,
    every: int = 1,
    delay: float = DELAY,
    gap: float = GAP,
    **options: Any,
) -> Generator[TrackedFrame, None, None]:
    """Track the faces in a video: ``for frame in s3fd.track("party.mp4"): …``.

    Args:
        source: a video file, or the number of a camera.
        detector: detector to use; by default, `s3fd.load` makes one with `options`.
        every: detection interval in frames; see `Following`.
        delay: look-ahead in seconds; see `Following`.
        gap: seconds for which a face may be lost and still keep its track.
        options: options for `s3fd.load`, such as ``attributes=("gender",)``.

    Raises:
        ModuleNotFoundError: a package of ``pip install 's3fd[video]'`` is missing.
        TypeError: both a detector and options for one are given.
        ValueError: `every`, `delay` or `gap` is out of range.
        VideoError: the video cannot be read. If it is truncated or damaged, this is raised after its last
            frame.
    """
    if detector is not None and options:
        raise TypeError(f"options cannot be combined with a detector: {', '.join(options)}")
    for name in ("norfair",) if isinstance(source, int) else ("norfair", "av"):
        _check_installed(name)
    following = Following(every, delay, gap)
    return _track(source, detector or load(**options), following)


def _check_installed(name: str) -> None:
    """Raise an error that says how to install a missing module, whose distribution may have another name."""
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        raise missing(error, "videos need", "video") from error


def _track(
    source: str | os.PathLike[str] | int, detector: Detector, following: Following
) -> Generator[TrackedFrame, None, None]:
    """Open the source and track its faces."""
    with open_video(source) as video:
        yield from follow(video, detector, following)


def open_video(source: str | os.PathLike[str] | int) -> AbstractContextManager[Video]:
    """Open a video file, or a camera by its number. Raises VideoError if it cannot be read."""
    return Camera(source) if isinstance(source, int) else VideoFile(source)


def follow(video: Video, detector: Detector, following: Following) -> Generator[TrackedFrame, None, None]:
    """Track the faces in an open video; yield every frame once and in order.

    Raises:
        VideoError: the video is truncated or damaged; raised after all frames have been yielded.
    """
    follower = Follower(detector, video.format, following)
    with closing(_decoded(video)) as frames:
        for frame in frames:
            if isinstance(frame, Exception):
                yield from follower.rest()
                raise frame
            yield from follower.add(frame)
    yield from follower.rest()


def _decoded(video: Video) -> Generator[Frame | Exception, None, None]:
    """Yield the frames, decoded ahead in a thread for files only: a camera's frames would be outdated."""
    return _ended(video) if isinstance(video, Camera) else ahead(_ended(video), DECODED_AHEAD)


def _ended(video: Iterable[Frame]) -> Generator[Frame | Exception, None, None]:
    """Yield the frames of a video, and its error as the last item, since earlier frames are still in use."""
    try:
        yield from video
    except ValueError as error:
        yield error


class Follower:
    """Tracks faces through frames that are added one by one, and returns the frames after a delay."""

    def __init__(self, detector: Detector, video: VideoFormat, following: Following) -> None:
        """Prepare for frames of the format `video`."""
        self._min_score, self._min_probability = detector.min_score, detector.min_probability
        least = detector.min_score if following.hiding else GOES_ON * detector.min_score
        self._detector = replace(detector, min_score=least)
        self._video, self._following = video, following
        self._tracker = Tracker(following.gap)
        self._timeline = Timeline(following.reach)
        self._averages = Averages({name: detector.runtime.classes[name] for name in detector.attributes})
        self._best: dict[int, float] = {}
        self._times_seen: Counter[int] = Counter()
        self._confirmed: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._given = 0
        self._updates, self._seen_until = 0, 0.0
        self._waiting: deque[Frame] = deque()

    def add(self, frame: Frame) -> Generator[TrackedFrame, None, None]:
        """Add the next frame; yield the frames for which enough is known by now."""
        self._waiting.append(frame)
        if frame.number % self._following.every == 0:
            self._look(frame)
        most = max(1, MOST_WAITING // frame.pixels.nbytes)
        while self._waiting and (self._due(self._waiting[0]) or len(self._waiting) > most):
            yield self._give(self._waiting.popleft())

    def rest(self) -> Generator[TrackedFrame, None, None]:
        """Yield the remaining frames after the last one was added."""
        while self._waiting:
            yield self._give(self._waiting.popleft())

    def _due(self, frame: Frame) -> bool:
        """Whether enough of the video after a frame has been processed."""
        return self._seen_until - frame.time >= self._following.delay

    def _look(self, frame: Frame) -> None:
        """Detect the faces in a frame, and assign them to tracks."""
        picture = Picture(frame.pixels, width=frame.pixels.shape[1], height=frame.pixels.shape[0])
        faces = self._detector.find_probabilities(picture)
        tracks, self._confirmed = self._tracker.update(faces.boxes, frame.time)
        self._timeline.add(frame.time, tracks.tolist(), faces.boxes, faces.scores)
        self._averages.add(tracks.tolist(), faces)
        for key, score in zip(tracks.tolist(), faces.scores.tolist(), strict=True):
            self._best[key] = max(score, self._best.get(key, 0.0))
            self._times_seen[key] += 1
        self._updates += 1
        self._seen_until = frame.time

    def _give(self, frame: Frame) -> TrackedFrame:
        """Return a frame with its faces, and forget what is no longer needed."""
        moment = self._timeline.at(frame.time)
        counts = np.array([self._counts(key) for key in moment.tracks.tolist()], dtype=bool)
        if self._following.hiding:
            counts |= moment.detected
        order = np.flatnonzero(counts)[np.argsort(-moment.scores[counts], kind="stable")]
        keys = moment.tracks[order].tolist()
        columns = {"track": np.array([self._number(key) for key in keys], dtype=int)}
        columns |= {"detected": moment.detected[order]}
        columns |= self._averages.told(keys, self._min_probability)
        inside = boxes.clip(moment.boxes[order], self._video.width, self._video.height)
        self._forget(frame.time)
        return TrackedFrame(
            frame.pixels, frame.number, frame.time, Faces(inside, moment.scores[order], columns)
        )

    def _counts(self, key: int) -> bool:
        """Whether to report a track: it was seen twice in a row, and once with a score that starts a track.

        In the first update, no track can have been seen twice, so one detection is enough. For hiding, two
        detections, or one that scores above `SURE`, are enough.
        """
        if self._following.hiding:
            return self._times_seen[key] > 1 or self._best[key] > SURE
        seen_twice = key in self._confirmed or key in self._numbers or self._updates == 1
        return seen_twice and self._best[key] > self._min_score

    def _number(self, key: int) -> int:
        """Return the public number of a track; a new track gets the next one."""
        if key not in self._numbers:
            self._given += 1
            self._numbers[key] = self._given
        return self._numbers[key]

    def _forget(self, time: float) -> None:
        """Forget everything that no frame after `time` needs."""
        self._timeline.forget(time, self._tracker.alive)
        for key in [key for key in self._best if key not in self._timeline]:
            del self._best[key], self._times_seen[key]
            self._numbers.pop(key, None)
            self._averages.forget([key])
