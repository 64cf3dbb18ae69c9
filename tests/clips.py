"""Videos made for tests: squares that move over black, as `square_finder` knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from square_finder import COLOURS, SquareFinder

from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.video.frames import EXACT

SIZE = 160, 96
RATE = 25

QUALITY = {
    "libx264": {"crf": "1", "preset": "ultrafast"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
}
"""Options of encoders: all are to be quick, and the first nearly without loss."""

Place = Callable[[int], tuple[float, float] | None]
"""From the number of a frame to a square's left and top; None where it is not there."""


def frames(
    places: Sequence[Place], count: int, side: int = 24, colours: Sequence[str] = ("red",)
) -> Iterator[Pixels]:
    """Black frames with one square for each of `places`."""
    for number in range(count):
        pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for i, place in enumerate(places):
            corner = place(number)
            if corner is not None:
                x, y = round(corner[0]), round(corner[1])
                pixels[y : y + side, x : x + side] = COLOURS[colours[i % len(colours)]]
        yield pixels


def save(
    path: Path,
    pictures: Iterable[Pixels],
    *,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: str | None = None,
    metadata: dict[str, str] | None = None,
    codec: str = "libx264",
    begin: int = 0,
) -> Path:
    """Encode frames, almost without loss; `times` are in 1/25 s, `sound` names the codec of two seconds.

    The file's clock begins at `begin` seconds.
    """
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        options = QUALITY.get(codec, {"qscale": "1"})
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        voice: Any = container.add_stream(sound, rate=48000) if sound else None
        if rotation:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(pictures):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(
                format=stream.pix_fmt, interpolation=EXACT
            )
            frame.pts = (times[number] if times else number) + begin * RATE
            frame.time_base = Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            _add_sound(container, voice, begin)
    return path


def _add_sound(container: Any, stream: Any, begin: int = 0) -> None:
    """Two seconds of a tone, from `begin` seconds on."""
    tone = (np.sin(np.arange(96000) / 20) * 9000).astype(np.int16)
    for start in range(0, 96000, 960):
        samples = av.AudioFrame.from_ndarray(tone[None, start : start + 960], format="s16", layout="mono")
        samples.sample_rate, samples.time_base = 48000, Fraction(1, 48000)
        samples.pts = start + begin * 48000
        container.mux(stream.encode(samples))
    container.mux(stream.encode(None))


class Blinking(SquareFinder):
    """Finds squares, but not at the updates in `blind`, and weakly in those in `weak`."""

    def __init__(self, blind: Iterable[int] = (), weak: Iterable[int] = ()) -> None:
        super().__init__()
        self._blind, self._weak, self._calls = set(blind), set(weak), -1

    def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> Any:
        self._calls += 1
        if self._calls in self._blind:
            pictures = np.zeros_like(pictures)
        found = super().__call__(pictures, attributes)
        return found._replace(scores=found.scores * 0.45) if self._calls in self._weak else found


def detector(runtime: SquareFinder | None = None, **options: Any) -> Detector:
    """A detector of squares at the size that they have."""
    return Detector(runtime or SquareFinder(), size="original", **options)  # type: ignore[arg-type]


class Capture:
    """Gives so many frames, of a brightness that counts them, as fast as a camera of 200 frames/s."""

    def __init__(self, count: int) -> None:
        self.count, self.given, self.released = count, 0, False

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.005)
        if self.given == self.count:
            return False, None
        self.given += 1
        return True, np.full((4, 6, 3), self.given, np.uint8)

    def get(self, _: int) -> float:
        return 200.0

    def release(self) -> None:
        self.released = True
