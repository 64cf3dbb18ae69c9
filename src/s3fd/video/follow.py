"""Faces followed through a video: detection every few frames, tracks, and what lies between."""

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
from s3fd.extras import how_to_install
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
"""Frames that are decoded while others are looked at."""

MOST_WAITING = 256 * 2**20
"""Bytes of frames that wait at most for what comes after them: a third of a second of 4K at 30 frames/s."""

GOES_ON = 0.5
"""Least score of a box that goes on with a track, in parts of the score that begins one. A face that turns
away scores less before it is lost, and what lies where a face was is one (the idea of ByteTrack: Zhang and
others, ECCV 2022)."""

DELAY = 0.5
"""Seconds of the video that are seen ahead of the frame that is given out, unless told otherwise."""

GAP = 1.0
"""Seconds for which a face may be lost and found again as the same, unless told otherwise."""

HIDDEN_BEFORE = 0.5
"""Seconds for which a face is hidden before it is first seen: it may have come out of blur, or turned."""

SURE = 0.4
"""Score from which a face that was seen a single time is hidden before and after that too. Once and with
less, it is mostly a fold or a shadow, and hiding that for a second and a half covers much of the picture."""


@dataclass(frozen=True)
class TrackedFrame:
    """A frame with the faces that are followed through it.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright.
        number: from 0.
        time: in seconds from the first frame.
        faces: best score first, with the columns ``track``, a number from 1 that stays with a face;
            ``detected``, False where the box was filled in between detections; and each attribute with its
            probability, of the whole track so far.
    """

    pixels: Pixels
    number: int
    time: float
    faces: Faces


@dataclass(frozen=True)
class Following:
    """How faces are followed.

    Attributes:
        every: of so many frames one is looked at by the detector; boxes of the others lie between.
        delay: seconds of the video that are seen ahead of the frame that is given out: faces lost for less
            than that are filled in. With 0, a frame comes as soon as it, or one after it, is looked at.
        gap: seconds for which a face may be lost and found again as the same.
        hiding: whether faces are to be hidden: all that is seen counts, and what is seen twice or is `SURE`
            also from `HIDDEN_BEFORE` to `gap` after, where boxes grow on each side by their own sides in a
            second.
    """

    every: int = 1
    delay: float = DELAY
    gap: float = GAP
    hiding: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a number that is out of range."""
        if self.every < 1:
            raise ValueError(f"every is 1 or more frames, not {self.every}")
        for what, seconds in (("delay", self.delay), ("gap", self.gap)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"a {what} is 0 or more seconds, not {seconds}")

    @property
    def reach(self) -> Reach:
        """How far detections reach in time."""
        if self.hiding:
            return Reach(self.gap, before=min(HIDDEN_BEFORE, self.delay), after=self.gap, growth=1.0)
        return Reach(self.delay)


class Video(Protocol):
    """A file or camera, open in a ``with`` block."""

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
    """Follow the faces of a video: ``for frame in s3fd.track("party.mp4"): …``.

    Args:
        source: a video file, or the number of a camera.
        detector: by default `s3fd.load` makes one, of `options` such as ``attributes=("gender",)``.
        every: see `Following`, as `delay` and `gap`.
        delay: seconds that are seen ahead.
        gap: seconds for which a face may be lost.
        options: of `s3fd.load`.

    Raises:
        ModuleNotFoundError: what ``pip install 's3fd[video]'`` brings is missing.
        TypeError: both a detector and options of one.
        ValueError: `every`, `delay` or `gap` is out of range.
        VideoError: the video cannot be read; if it is cut off or damaged, after its last frame.
    """
    if detector is not None and options:
        raise TypeError(f"a detector is given: {', '.join(options)} would do nothing")
    for name in ("norfair",) if isinstance(source, int) else ("norfair", "av"):
        _check_installed(name)
    following = Following(every, delay, gap)
    return _track(source, detector or load(**options), following)


def _check_installed(name: str) -> None:
    """Say how to install a package that is missing: the name of its distribution may be another."""
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        how = how_to_install(error, "videos need", "video")
        raise ModuleNotFoundError(how, name=error.name) from error


def _track(
    source: str | os.PathLike[str] | int, detector: Detector, following: Following
) -> Generator[TrackedFrame, None, None]:
    """Open the source and follow its faces."""
    with open_video(source) as video:
        yield from follow(video, detector, following)


def open_video(source: str | os.PathLike[str] | int) -> AbstractContextManager[Video]:
    """Open a video file, or a camera by its number; raises VideoError if it cannot be read."""
    return Camera(source) if isinstance(source, int) else VideoFile(source)


def follow(video: Video, detector: Detector, following: Following) -> Generator[TrackedFrame, None, None]:
    """Follow the faces of an open video; every frame comes once and in order.

    Raises:
        VideoError: once all frames are given out, if the video is cut off or damaged.
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
    """The frames of a video; a file's are decoded ahead in a thread, while a camera's would grow old."""
    return _ended(video) if isinstance(video, Camera) else ahead(_ended(video), DECODED_AHEAD)


def _ended(video: Iterable[Frame]) -> Generator[Frame | Exception, None, None]:
    """The frames of a video, and what it raises as the last item, since earlier ones are still in use."""
    try:
        yield from video
    except ValueError as error:
        yield error


class Follower:
    """Follows faces through frames that it is given one by one, and gives them back some moments later."""

    def __init__(self, detector: Detector, video: VideoFormat, following: Following) -> None:
        """Prepare for frames of a format."""
        self._min_score, self._min_probability = detector.min_score, detector.min_probability
        least = detector.min_score if following.hiding else GOES_ON * detector.min_score
        self._detector = replace(detector, min_score=least)
        self._video, self._following = video, following
        updates = following.gap * float(video.rate) / following.every
        self._tracker = Tracker(max(video.width, video.height), round(updates))
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
        """Take the next frame; yield those for which enough is known by now."""
        self._waiting.append(frame)
        if frame.number % self._following.every == 0:
            self._look(frame)
        most = max(1, MOST_WAITING // frame.pixels.nbytes)
        while self._waiting and (self._due(self._waiting[0]) or len(self._waiting) > most):
            yield self._give(self._waiting.popleft())

    def rest(self) -> Generator[TrackedFrame, None, None]:
        """Yield the frames that are left, when no more will come."""
        while self._waiting:
            yield self._give(self._waiting.popleft())

    def _due(self, frame: Frame) -> bool:
        """Whether what comes after a frame has been seen for long enough."""
        return self._seen_until - frame.time >= self._following.delay

    def _look(self, frame: Frame) -> None:
        """Detect the faces of a frame, and join them to tracks."""
        picture = Picture(frame.pixels, width=frame.pixels.shape[1], height=frame.pixels.shape[0])
        faces = self._detector.find_probabilities(picture)
        tracks, self._confirmed = self._tracker.update(faces.boxes)
        self._timeline.add(frame.time, tracks.tolist(), faces.boxes, faces.scores)
        self._averages.add(tracks.tolist(), faces)
        for key, score in zip(tracks.tolist(), faces.scores.tolist(), strict=True):
            self._best[key] = max(score, self._best.get(key, 0.0))
            self._times_seen[key] += 1
        self._updates += 1
        self._seen_until = frame.time

    def _give(self, frame: Frame) -> TrackedFrame:
        """A frame with its faces; what is no longer needed is forgotten."""
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
        """Whether a track is one to report: seen twice in a row, and once with the score that begins one.

        In the very first update nothing can have been seen twice. One that is hidden need not be seen twice
        if it is `SURE`.
        """
        if self._following.hiding:
            return self._times_seen[key] > 1 or self._best[key] > SURE
        seen_twice = key in self._confirmed or key in self._numbers or self._updates == 1
        return seen_twice and self._best[key] > self._min_score

    def _number(self, key: int) -> int:
        """The number under which a track is known outside; a new one gets the next."""
        if key not in self._numbers:
            self._given += 1
            self._numbers[key] = self._given
        return self._numbers[key]

    def _forget(self, time: float) -> None:
        """Forget what no frame after `time` needs."""
        self._timeline.forget(time, self._tracker.alive)
        for key in [key for key in self._best if key not in self._timeline]:
            del self._best[key], self._times_seen[key]
            self._numbers.pop(key, None)
            self._averages.forget([key])
