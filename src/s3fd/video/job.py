"""Make an annotated or anonymised copy of a video; encoding runs in parallel with the network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3fd.extras import how_to_install
from s3fd.inference import draw
from s3fd.inference.anonymize import Style
from s3fd.inference.anonymize import anonymize as hide
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.inference.records import Record
from s3fd.inference.sources import Source
from s3fd.inference.threads import Behind
from s3fd.video.follow import GAP, Following, TrackedFrame, Video, follow
from s3fd.video.frames import VideoError
from s3fd.video.reading import VideoFile
from s3fd.video.summary import Summary, Track
from s3fd.video.writing import VideoWriter, video_name

ENCODED_BEHIND = 4
"""Maximum number of frames that wait to be drawn and encoded while the network continues."""


@dataclass(frozen=True)
class VideoRecord(Record):
    """The result for one video.

    Attributes:
        tracks: tracks of the faces, with the times at which they were hidden.
        frames: number of frames written.
        sound: whether the copy has sound.
    """

    tracks: tuple[Track, ...] = ()
    frames: int = 0
    sound: bool = False

    @property
    def found(self) -> int:
        """Number of tracks."""
        return len(self.tracks)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict; its `faces` has one entry per track."""
        record: dict[str, Any] = {"path": self.path, "out": self.out}
        record |= {"width": self.width, "height": self.height, "frames": self.frames, "sound": self.sound}
        record |= {"faces": [track.to_dict() for track in self.tracks]}
        return record if self.error is None else record | {"error": self.error}


Change = Callable[[TrackedFrame], Pixels]
"""Function from a frame to the pixels to write; it must return a copy."""


def drawn(frame: TrackedFrame) -> Pixels:
    """Return a frame's pixels with its faces marked; see `s3fd.inference.draw.draw`."""
    return draw.draw(frame.pixels, frame.faces)


def rewrite(
    video: Video, detector: Detector, following: Following, writer: VideoWriter, change: Change
) -> Generator[TrackedFrame, None, None]:
    """Track the faces in an open video, and write each frame as changed by `change`, in a thread.

    Raises:
        VideoError: the copy cannot be written; or the video is truncated or damaged, which is raised once the
            copy is complete.
    """
    damage = None
    with writer, Behind(ENCODED_BEHIND) as behind, closing(follow(video, detector, following)) as frames:
        try:
            for frame in frames:
                behind.submit(_write, frame, writer, change)
                yield frame
        except VideoError as error:
            if error.name != video.name:
                raise
            damage = error
    if damage is not None:
        raise damage


def _write(frame: TrackedFrame, writer: VideoWriter, change: Change) -> None:
    """Change and encode a frame."""
    writer.write(change(frame), frame.time)


def anonymize_video(
    source: Source, folder: Path, detector: Detector, style: Style, *, every: int, sound: bool
) -> Iterator[Record | None]:
    """Write a copy of a video with unrecognisable faces; yield None after each frame, and then a record.

    If the video is truncated or damaged, the copy holds what could be decoded, and the record has an error.
    """
    copy = folder / video_name(source.relative)
    reason = source.in_the_way(copy, folder)
    if reason is not None:
        yield Record(source.path, error=reason)
        return
    try:
        yield from _anonymize(source.path, copy, detector, style, every, sound)
    except VideoError as error:
        reason = error.reason if error.name == source.path else str(error)
        yield Record(source.path, error=reason)
    except MemoryError as error:
        yield Record(source.path, error=str(error))
    except ModuleNotFoundError as error:
        yield Record(source.path, error=how_to_install(error, "videos need", "video"))


def _anonymize(
    path: str, copy: Path, detector: Detector, style: Style, every: int, sound: bool
) -> Iterator[Record | None]:
    """Write the copy. Raises VideoError if it cannot be made."""

    def hidden(frame: TrackedFrame) -> Pixels:
        return hide(frame.pixels, frame.faces.boxes, style)

    following = Following(every, delay=GAP, hiding=True)
    summary, tracks, count, damage = Summary(following.gap + following.delay), list[Track](), 0, None
    with VideoFile(path) as video:
        copy.parent.mkdir(parents=True, exist_ok=True)
        writer = VideoWriter(copy, video.format, sound=path if sound else None)
        try:
            for frame in rewrite(video, detector, following, writer, hidden):
                tracks += summary.add(frame)
                count += 1
                yield None
        except VideoError as error:
            if error.name != path:
                raise
            damage = error.reason
    yield VideoRecord(
        path,
        width=video.format.width,
        height=video.format.height,
        error=damage,
        out=str(copy),
        tracks=tuple(sorted(tracks + summary.rest(), key=lambda track: track.number)),
        frames=count,
        sound=writer.has_sound,
    )
