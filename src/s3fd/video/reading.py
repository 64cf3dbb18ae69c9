"""Video files, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from s3fd.closing import Closing
from s3fd.inference.pictures import Pixels
from s3fd.video.clock import MICROSECONDS, Clock, beginning
from s3fd.video.frames import EXACT, Frame, VideoError, VideoFormat, cut_off, full_name

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

USUAL_RATE = Fraction(25)
"""Frame rate, in frames per second, of a file that does not specify one."""


class VideoFile(Closing):
    """A video file, used in a ``with`` block. It has a `format`, and yields its frames once.

    Frames are resized to the size of the first, and turned upright or mirrored by the display matrix that it
    has. Colours are converted to 8 bits; transparency is dropped. Damaged parts are skipped, and reported by
    an error at the end.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a file and decode its first frame.

        Raises:
            ModuleNotFoundError: PyAV is not installed.
            VideoError: there is no such file, or it contains no video that can be decoded.
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
            raise VideoError(self.name, "contains no frame that can be decoded")
        self._first = first
        self.format = _format(self._stream, first, float(beginning(self._container)))

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in display order.

        Raises:
            VideoError: the file is truncated, or parts of it are damaged; raised after the last frame.
        """
        size, display = (self._first.width, self._first.height), _display(self._first)
        frame: VideoFrame | None = self._first
        unit = self._first.time_base or self.format.time_base
        step = round(1 / self.format.rate / unit)
        clock, number, time = Clock(unit), 0, 0.0
        start = self._first.pts or 0
        while frame is not None:
            time = float((clock.read(frame.pts, step) - start) * unit)
            yield Frame(_upright(frame, *size, display), number, time)
            number += 1
            frame = next(self._decoded, None)
        self._check_end(time + 1 / float(self.format.rate))

    def _decode(self) -> Iterator[VideoFrame]:
        """Decode all packets that can be decoded, and count those that cannot."""
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

    def _check_end(self, end: float) -> None:
        """Raise VideoError if damaged packets were skipped, or the pictures end before their declared end.

        MP4, MOV and AVI declare the number of frames. Matroska and WebM declare the length of their longest
        stream, which is conclusive only if it is the only one. Other formats declare neither.
        """
        if self._damaged:
            raise VideoError(self.name, f"{self._damaged} damaged parts were skipped")
        if self._stream.frames:
            rate = float(self.format.rate)
            # An AVI file also counts frames that were dropped when it was recorded.
            missing = min((self._stream.frames - self._packets) / rate, self._stream.frames / rate - end)
        elif self._container.duration is not None and len(self._container.streams) == 1:
            end_of_file = self._container.duration / MICROSECONDS  # Matroska counts it from 0 on its clock
            missing = end_of_file - float(beginning(self._container)) - end
        else:
            return
        reason = cut_off(end, missing)
        if reason is not None:
            raise VideoError(self.name, reason)


def _pictures_of(container: InputContainer, name: str) -> VideoStream:
    """Return the video stream in a file. Raises VideoError if there is none, as in a sound file."""
    stream = container.streams.best("video")
    if stream is None or stream not in container.streams.video:
        container.close()
        raise VideoError(name, "contains no video")
    pictures = container.streams.video[container.streams.video.index(stream)]
    pictures.thread_type = "AUTO"
    return pictures


def _format(stream: VideoStream, first: VideoFrame, beginning: float) -> VideoFormat:
    """Return the format of a stream of a file that begins at `beginning`, from its header and first frame."""
    turned = _display(first).transposed
    aspect = stream.sample_aspect_ratio or Fraction(1)
    start = 0.0
    if first.pts is not None and first.time_base is not None:
        start = float(first.pts * first.time_base) - beginning
    return VideoFormat(
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rate=stream.average_rate or stream.guessed_rate or USUAL_RATE,
        time_base=stream.time_base or 1 / USUAL_RATE,
        start=start,
        matrix=int(first.colorspace),
        aspect=1 / aspect if turned else aspect,
    )


class Display(NamedTuple):
    """How decoded pixels are shown: transposed first, then mirrored along either axis."""

    transposed: bool
    mirrored_x: bool
    mirrored_y: bool


def _display(frame: VideoFrame) -> Display:
    """Return how a frame is shown, by its display matrix, to the nearest quarter turn.

    Phones turn the pictures of a camera that is held upright, and may mirror those of the front camera.
    """
    side_data: Any = frame.side_data
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Display(False, False, False)
    # A pixel (x, y) is shown at (ax + cy, bx + dy), up to a shift.
    a, b, _, c, d = struct.unpack_from("5i", bytes(matrix))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Display(True, c < 0, b < 0)
    return Display(False, a < 0, d < 0)


def _upright(frame: VideoFrame, width: int, height: int, display: Display) -> Pixels:
    """Return the pixels of a frame, resized to `width` × `height` and then turned as for `display`."""
    pixels = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation=EXACT)
    if display.transposed:
        pixels = pixels.swapaxes(0, 1)
    turned = pixels[:: -1 if display.mirrored_y else 1, :: -1 if display.mirrored_x else 1]
    return np.ascontiguousarray(turned, dtype=np.uint8)


def _reason(error: Exception) -> str:
    """Describe an FFmpeg error in one line."""
    text = getattr(error, "strerror", None) or str(error)
    return {
        "Invalid data found when processing input": "not a video that can be decoded",
        "End of file": "not a video that can be decoded",
    }.get(text, text)
