"""Video files, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from s3fd.inference.pictures import Pixels
from s3fd.video.frames import EXACT, Frame, VideoError, VideoFormat, cut_off, full_name

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

USUAL_RATE = Fraction(25)
"""Frames a second of a file that does not say."""

MICROSECONDS = 1_000_000
"""`AV_TIME_BASE`, in which FFmpeg gives the length of a file."""


class VideoFile:
    """A video file, open in a ``with`` block: its `format`, and its frames when iterated over, once.

    Frames are turned upright as the file's display matrix says, and have the size of the first. Colours
    become 8 bits; transparency is left out. Damaged stretches are skipped, and named by an error at the end.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a file and decode its first frame.

        Raises:
            ModuleNotFoundError: PyAV is not installed.
            VideoError: there is no such file, or it holds no video that can be decoded.
        """
        import av

        self.name = os.fspath(path)
        self._packets = self._damaged = 0
        try:
            self._container = av.open(full_name(self.name))
            self._stream = _pictures_of(self._container, self.name)
            self._decoded = self._decode()
            first = next(self._decoded, None)
        except av.FFmpegError as error:
            raise VideoError(self.name, _reason(error)) from error
        if first is None:
            self._container.close()
            raise VideoError(self.name, "holds no frame that can be decoded")
        self._first = first
        self.format = _format(self._stream, first)

    def __enter__(self) -> VideoFile:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in the order of display.

        Raises:
            VideoError: after the last frame: the file is cut off, or parts of it are damaged.
        """
        size = self._first.width, self._first.height
        frame: VideoFrame | None = self._first
        number, latest = 0, 0.0
        while frame is not None:
            latest = self._time(frame, number, latest)
            yield Frame(_upright(frame, *size), number, latest)
            number += 1
            frame = next(self._decoded, None)
        self._check_end(latest + 1 / float(self.format.rate))

    def _decode(self) -> Iterator[VideoFrame]:
        """Decode all that can be, and count the packets that cannot."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                self._packets += packet.dts is not None
                yield from packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                if packet is None or packet.dts is None:
                    return

    def _time(self, frame: VideoFrame, number: int, latest: float) -> float:
        """Seconds from the first frame to this one; where the file has no time for it, a frame later."""
        step = 1 / float(self.format.rate)
        if frame.pts is None or frame.time_base is None:
            return latest + step if number else 0.0
        return max(float(frame.pts * frame.time_base) - self.format.start, latest)

    def _check_end(self, end: float) -> None:
        """Raise VideoError if damaged packets were skipped, or the pictures end before the file says.

        MP4, MOV and AVI say how many frames there are. Matroska and WebM say how long the longest of their
        streams is, which tells where there is but one. Other kinds say nothing.
        """
        if self._damaged:
            raise VideoError(self.name, f"{self._damaged} damaged parts were left out")
        if self._stream.frames:
            missing = (self._stream.frames - self._packets) / float(self.format.rate)
        elif self._container.duration is not None and len(self._container.streams) == 1:
            missing = self._container.duration / MICROSECONDS - end
        else:
            return
        reason = cut_off(end, missing)
        if reason is not None:
            raise VideoError(self.name, reason)


def _pictures_of(container: InputContainer, name: str) -> VideoStream:
    """The stream of pictures in a file; raises VideoError if there is none, as in a file of sound."""
    stream = container.streams.best("video")
    if stream is None or stream not in container.streams.video:
        container.close()
        raise VideoError(name, "holds no video")
    pictures = container.streams.video[container.streams.video.index(stream)]
    pictures.thread_type = "AUTO"
    return pictures


def _format(stream: VideoStream, first: VideoFrame) -> VideoFormat:
    """The format of a stream, from its header and its first frame."""
    turned = _quarter_turns(first) % 2 == 1
    aspect = stream.sample_aspect_ratio or Fraction(1)
    start = 0.0 if first.pts is None or first.time_base is None else float(first.pts * first.time_base)
    return VideoFormat(
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rate=stream.average_rate or stream.guessed_rate or USUAL_RATE,
        time_base=stream.time_base or 1 / USUAL_RATE,
        start=start,
        matrix=int(first.colorspace),
        aspect=1 / aspect if turned else aspect,
    )


def _quarter_turns(frame: VideoFrame) -> int:
    """Quarter turns against the clock that bring a frame upright, from its display matrix."""
    return round(frame.rotation / 90) % 4


def _upright(frame: VideoFrame, width: int, height: int) -> Pixels:
    """The pixels of a frame that has, or is brought to, so many before it is turned."""
    pixels = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation=EXACT)
    return np.ascontiguousarray(np.rot90(pixels, _quarter_turns(frame)), dtype=np.uint8)


def _reason(error: Exception) -> str:
    """One line that says what FFmpeg's error means."""
    text = getattr(error, "strerror", None) or str(error)
    return {
        "Invalid data found when processing input": "not a video that can be decoded",
        "End of file": "not a video that can be decoded",
    }.get(text, text)
