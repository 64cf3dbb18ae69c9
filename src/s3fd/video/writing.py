"""Video files, encoded by FFmpeg through PyAV, with sound copied from another file."""

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
from s3fd.video.clock import Clock, beginning
from s3fd.video.frames import EXACT, MILLISECONDS, VideoError, VideoFormat, full_name
from s3fd.weights.atomic import temporary_name

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CONTAINERS = {".m4v": "mp4", ".mkv": "matroska", ".mov": "mov", ".mp4": "mp4"}
"""FFmpeg's names of the containers that can be written, by suffix: those that can hold H.264."""

ENCODERS = (
    ("libx264", {"preset": "veryfast", "crf": "20"}),
    ("mpeg4", {"qscale": "3"}),
)
"""Encoders and their options, best first; the second is for an FFmpeg built without x264."""

USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's default layout (`av_channel_layout_default`) by the number of channels."""

UNKNOWN_MATRIX = 2
"""`AVCOL_SPC_UNSPECIFIED`: the player has to guess the colour space."""

MATRICES = frozenset({1, 4, 5, 6, 7, 9})
"""Colour spaces that FFmpeg's converter supports, as values of `AVColorSpace`."""


def video_name(relative: Path) -> Path:
    """Return the name for a copy of a video, with ``.mp4`` appended if its format cannot be written.

    The name ``a.avi.mp4`` gets another ``.mp4``, so that it does not collide with the copy of ``a.avi``.
    """
    appended = relative.suffix.lower() == ".mp4" and Path(relative.stem).suffix.lower() in VIDEO_SUFFIXES
    if relative.suffix.lower() in CONTAINERS and not appended:
        return relative
    return relative.with_name(f"{relative.name}.mp4")


class VideoWriter:
    """Writes frames as H.264 to a file that appears once it is complete; used in a ``with`` block.

    The file holds pictures and, if `sound` names a file, an unchanged copy of that file's sound, unless the
    container does not support its codec (see `has_sound`). Nothing else is copied: no metadata, subtitles,
    cover pictures or data tracks. A side with an odd number of pixels gains one, since common H.264 has even
    sides.

    The file is written under a temporary name beside `path`. After an error, nothing is left. If the user
    interrupts the run, or the frames are not iterated to the end, what was written so far is kept if `keep`
    is set.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        video: VideoFormat,
        sound: str | os.PathLike[str] | None = None,
        keep: bool = False,
    ) -> None:
        """Prepare to write frames of the format `video` to `path`, in an existing folder.

        Raises:
            ModuleNotFoundError: PyAV is not installed.
            VideoError: the suffix is not one of `CONTAINERS`, or the file cannot be written.
        """
        import av

        self._path = Path(path)
        suffix = self._path.suffix.lower()
        if suffix not in CONTAINERS:
            raise VideoError(
                str(path), f"unsupported video format; use one of {', '.join(sorted(CONTAINERS))}"
            )
        self._temporary = temporary_name(self._path, f"{os.getpid()}.part")
        self._video, self._keep = video, keep
        options = {} if suffix == ".mkv" else {"movflags": "+faststart"}
        with _told(self._path):
            whole = str(self._temporary.absolute())  # FFmpeg may take a relative name for a URL
            self._container = av.open(whole, "w", format=CONTAINERS[suffix], options=options)
            self._stream = _add_pictures(self._container, video)
            self._sound = _Sound(sound, self._container) if sound is not None else None
        self._latest = -1
        self._failure: VideoError | None = None

    @property
    def has_sound(self) -> bool:
        """Whether the file has sound."""
        return self._sound is not None and bool(self._sound.streams)

    def write(self, pixels: Pixels, time: float) -> None:
        """Write a frame (H, W, 3) BGR, to be shown `time` seconds after the first.

        Raises:
            VideoError: the frame cannot be encoded, or the file cannot be written; then all later frames are
                refused, since FFmpeg crashes if a file that failed is written on.
        """
        import av

        if self._failure is not None:
            raise self._failure
        picture = av.VideoFrame.from_ndarray(_even(pixels), format="bgr24").reformat(
            format=self._stream.pix_fmt, dst_colorspace=_matrix(self._video), interpolation=EXACT
        )
        clock = self._video.start + time
        self._latest = max(round(clock / self._video.time_base), self._latest + 1)
        picture.pts, picture.time_base = self._latest, self._video.time_base
        try:
            with _told(self._path):
                self._container.mux(self._stream.encode(picture))
                if self._sound is not None:
                    self._sound.copy(until=clock)
        except VideoError as error:
            self._failure = error
            raise

    def __enter__(self) -> VideoWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name, or remove it."""
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
    """The sound of a file, copied packet by packet up to the first damage."""

    def __init__(self, path: str | os.PathLike[str], container: OutputContainer) -> None:
        """Add the audio streams that a container supports to it."""
        import av

        self._file, self._container = av.open(full_name(path)), container
        self.streams = {
            stream.index: container.add_stream_from_template(stream)
            for stream in self._file.streams.audio
            if stream.codec_context.name in container.supported_codecs
        }
        for stream in self.streams.values():
            _complete_layout(stream)
        self._beginning = beginning(self._file)
        self._clocks = {
            index: Clock(self._file.streams[index].time_base or MILLISECONDS) for index in self.streams
        }
        self._packets = self._demux()
        self._next = next(self._packets, None)

    def copy(self, until: float = math.inf) -> None:
        """Copy the sound up to a time in seconds, on the clock that sound and pictures share."""
        while (packet := self._next) is not None and _seconds(packet) <= until:
            packet.stream = self.streams[packet.stream.index]
            self._container.mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the sound file."""
        self._file.close()

    def _demux(self) -> Iterator[Packet[Any]]:
        """Yield the audio packets in file order, their times increasing."""
        import av

        if self.streams:
            with suppress(av.FFmpegError):
                for packet in self._file.demux([self._file.streams[index] for index in self.streams]):
                    if packet.dts is not None:
                        self._correct(packet)
                        yield packet

    def _correct(self, packet: Packet[Any]) -> None:
        """Count the times of a packet from the file's beginning, and let them increase, as muxers require."""
        dts = packet.dts or 0
        start = round(self._beginning / packet.time_base) if packet.time_base else 0
        packet.dts = self._clocks[packet.stream.index].read(dts - start, packet.duration or 0)
        if packet.pts is not None:
            packet.pts += packet.dts - dts


def _complete_layout(stream: AudioStream) -> None:
    """Give a stream whose channels have no layout, such as PCM in AVI, the usual one, which MP4 requires."""
    layout = stream.codec_context.layout
    usual = USUAL_LAYOUTS.get(layout.nb_channels)
    if usual is not None and layout.name == f"{layout.nb_channels} channels":
        stream.codec_context.layout = usual


def _seconds(packet: Packet[Any]) -> float:
    """Return the decoding time of a packet in seconds."""
    return float((packet.dts or 0) * (packet.time_base or 0))


def _add_pictures(container: OutputContainer, video: VideoFormat) -> VideoStream:
    """Add a video stream to a file, with the best available encoder."""
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
    """Return the colour space of a video, or None if FFmpeg's converter does not support it."""
    return video.matrix if video.matrix in MATRICES else None


def _even(pixels: Pixels) -> Pixels:
    """Make the sides even, by repeating the last column or row where needed."""
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Convert FFmpeg's errors to a `VideoError` that names the file."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise VideoError(str(path), getattr(error, "strerror", None) or str(error)) from error
