"""Video files, encoded by FFmpeg through PyAV, with the sound of another file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from s3fd.inference.pictures import Pixels
from s3fd.inference.sources import VIDEO_SUFFIXES
from s3fd.video.frames import EXACT, VideoError, VideoFormat, full_name
from s3fd.weights.atomic import temporary_name

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CONTAINERS = {".m4v": "mp4", ".mkv": "matroska", ".mov": "mov", ".mp4": "mp4"}
"""Kinds of file that are written, as FFmpeg calls them, by suffix: those that hold H.264."""

ENCODERS = (
    ("libx264", {"preset": "veryfast", "crf": "20"}),
    ("mpeg4", {"qscale": "3"}),
)
"""Encoders and their options, best first; the second is for an FFmpeg that was built without x264."""

UNKNOWN_MATRIX = 2
"""`AVCOL_SPC_UNSPECIFIED`: how colours are coded is left for the player to guess."""

MATRICES = frozenset({1, 4, 5, 6, 7, 9})
"""Codings of colour, as FFmpeg counts `AVColorSpace`, that its converter knows."""


def video_name(relative: Path) -> Path:
    """Name of a written copy of a video: the same, with ``.mp4`` after it if its kind is not written.

    Lest ``a.avi`` and ``a.avi.mp4`` share a name, the second has another ``.mp4`` after it too.
    """
    appended = relative.suffix.lower() == ".mp4" and Path(relative.stem).suffix.lower() in VIDEO_SUFFIXES
    if relative.suffix.lower() in CONTAINERS and not appended:
        return relative
    return relative.with_name(f"{relative.name}.mp4")


class VideoWriter:
    """Writes frames as H.264 to a file that appears once it is complete; used in a ``with`` block.

    The file holds pictures and, where `sound` names a file, that file's sound as it is, unless its coding
    does not fit into this kind of file (`has_sound` tells). Nothing else is taken over: no metadata,
    subtitles, cover pictures or tracks of data. A side with an odd number of pixels gains one, since common
    H.264 has even sides.

    It is written under a temporary name beside `path`. After an error nothing is left. If the user ends the
    run, or whoever iterates over the frames ends early, what was written so far stays if `keep`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        video: VideoFormat,
        sound: str | os.PathLike[str] | None = None,
        keep: bool = False,
    ) -> None:
        """Prepare to write frames of a format to `path`, in a folder that exists.

        Raises:
            ModuleNotFoundError: PyAV is not installed.
            VideoError: the suffix is not one of `CONTAINERS`, or the file cannot be written.
        """
        import av

        self._path = Path(path)
        suffix = self._path.suffix.lower()
        if suffix not in CONTAINERS:
            raise VideoError(str(path), f"a video is written as {', '.join(sorted(CONTAINERS))}")
        self._temporary = temporary_name(self._path, f"{os.getpid()}.part")
        self._video, self._keep = video, keep
        options = {} if suffix == ".mkv" else {"movflags": "+faststart"}
        with _told(self._path):
            whole = str(self._temporary.absolute())  # a relative name may be a URL to FFmpeg
            self._container = av.open(whole, "w", format=CONTAINERS[suffix], options=options)
            self._stream = _add_pictures(self._container, video)
            self._sound = _Sound(sound, self._container) if sound is not None else None
        self._latest = -1

    @property
    def has_sound(self) -> bool:
        """Whether the file has sound."""
        return self._sound is not None and bool(self._sound.streams)

    def write(self, pixels: Pixels, time: float) -> None:
        """Write a frame (H, W, 3) BGR, shown `time` seconds after the first.

        Raises:
            VideoError: the frame cannot be encoded, or the file not written.
        """
        import av

        picture = av.VideoFrame.from_ndarray(_even(pixels), format="bgr24").reformat(
            format=self._stream.pix_fmt, dst_colorspace=_matrix(self._video), interpolation=EXACT
        )
        clock = self._video.start + time
        self._latest = max(round(clock / self._video.time_base), self._latest + 1)
        picture.pts, picture.time_base = self._latest, self._video.time_base
        with _told(self._path):
            self._container.mux(self._stream.encode(picture))
            if self._sound is not None:
                self._sound.copy(until=clock)

    def __enter__(self) -> VideoWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, or remove it."""
        complete = kind is None or (self._keep and not issubclass(kind, Exception))
        try:
            with _told(self._path):
                if complete and self._latest >= 0:
                    self._container.mux(self._stream.encode(None))
                    if self._sound is not None and kind is None:
                        self._sound.copy()
                self._container.close()
            if complete and self._latest >= 0:
                self._temporary.replace(self._path)
        finally:
            if self._sound is not None:
                self._sound.close()
            self._temporary.unlink(missing_ok=True)


class _Sound:
    """The sound of a file, copied packet by packet; damaged sound ends early."""

    def __init__(self, path: str | os.PathLike[str], container: OutputContainer) -> None:
        """Add the streams of sound that a container can hold to it."""
        import av

        self._file, self._container = av.open(full_name(path)), container
        self.streams = {
            stream.index: container.add_stream_from_template(stream)
            for stream in self._file.streams.audio
            if stream.codec_context.name in container.supported_codecs
        }
        self._packets = self._demux()
        self._next = next(self._packets, None)

    def copy(self, until: float = math.inf) -> None:
        """Copy what is heard up to a time in seconds on the clock that sound and pictures share."""
        while (packet := self._next) is not None and _seconds(packet) <= until:
            packet.stream = self.streams[packet.stream.index]
            self._container.mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the file of the sound."""
        self._file.close()

    def _demux(self) -> Iterator[Packet[Any]]:
        """Packets of sound, in the order of the file."""
        import av

        if self.streams:
            with suppress(av.FFmpegError):
                for packet in self._file.demux([self._file.streams[index] for index in self.streams]):
                    if packet.dts is not None:
                        yield packet


def _seconds(packet: Packet[Any]) -> float:
    """When a packet is decoded."""
    return float((packet.dts or 0) * (packet.time_base or 0))


def _add_pictures(container: OutputContainer, video: VideoFormat) -> VideoStream:
    """Add a stream of pictures to a file, with the best encoder there is."""
    import av

    name, options = next((encoder for encoder in ENCODERS if encoder[0] in av.codecs_available), ENCODERS[-1])
    stream = cast("VideoStream", container.add_stream(name, rate=video.rate, options=dict(options)))
    stream.width, stream.height = video.width + video.width % 2, video.height + video.height % 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = video.time_base
    stream.codec_context.sample_aspect_ratio = video.aspect
    stream.codec_context.colorspace = _matrix(video) or UNKNOWN_MATRIX
    return stream


def _matrix(video: VideoFormat) -> int | None:
    """How colours are coded, if FFmpeg's converter knows it."""
    return video.matrix if video.matrix in MATRICES else None


def _even(pixels: Pixels) -> Pixels:
    """Pixels with even sides: the last column or row is repeated where one is missing."""
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors into a `VideoError` that names the file."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise VideoError(str(path), getattr(error, "strerror", None) or str(error)) from error
