"""Cameras, read with OpenCV, which opens them by number on every system."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from s3fd.inference.pictures import Pixels
from s3fd.video.frames import Frame, VideoError, VideoFormat

USUAL_RATE = Fraction(30)
"""Frame rate, in frames per second, of a camera that does not report one."""


class Camera:
    """A camera, used in a ``with`` block. It has a `format`, and yields its frames when iterated over.

    A thread reads continuously and keeps only the latest frame, so a slow consumer misses frames but never
    gets outdated ones.
    """

    def __init__(self, index: int, capture: Any = None) -> None:
        """Open a camera by its number, or use an open `cv2.VideoCapture`.

        Raises:
            VideoError: there is no such camera, or it returns no picture.
        """
        self.name = f"camera:{index}"
        self._capture = cv2.VideoCapture(index) if capture is None else capture
        more, pixels = self._capture.read()
        if not more:
            self._capture.release()
            raise VideoError(self.name, "no such camera")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        height, width = pixels.shape[:2]
        self.format = VideoFormat(width, height, Fraction(round(rate)) if rate >= 1 else USUAL_RATE)
        self._latest: Pixels | None = np.asarray(pixels, dtype=np.uint8)
        self._changed = threading.Condition()
        self._open = True
        self._reader = threading.Thread(target=self._read, name=self.name, daemon=True)

    def __enter__(self) -> Camera:
        """Start reading."""
        self._start = time.monotonic()
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading and release the camera."""
        with self._changed:
            self._open = False
        self._reader.join()
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the latest frame, each only once, until the camera stops.

        Raises:
            VideoError: the camera stopped.
        """
        number = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._latest is not None or not self._open)
                pixels, self._latest = self._latest, None
            if pixels is None:
                raise VideoError(self.name, "the camera stopped")
            yield Frame(pixels, number, time.monotonic() - self._start)
            number += 1

    def _read(self) -> None:
        """Read frames until the camera stops or is closed."""
        try:
            while self._open:
                more, pixels = self._capture.read()
                if not more:
                    break
                with self._changed:
                    self._latest = np.asarray(pixels, dtype=np.uint8)
                    self._changed.notify_all()
        except cv2.error:  # raised by some backends when a camera is unplugged, or for a torn picture
            pass
        finally:
            with self._changed:
                self._open = False
                self._changed.notify_all()
