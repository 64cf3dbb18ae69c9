from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import pytest
from clips import Capture

from s3fd.video.camera import Camera
from s3fd.video.frames import VideoError


def test_whoever_is_slow_sees_the_latest_frame() -> None:
    capture = Capture(100)
    shown, times = [], []
    with Camera(0, capture) as camera:
        assert (camera.format.width, camera.format.height, camera.format.rate) == (6, 4, 200)
        with pytest.raises(VideoError, match="camera:0: the camera stopped"):
            for frame in camera:
                assert frame.number == len(shown)
                shown.append(int(frame.pixels[0, 0, 0]))
                times.append(frame.time)
                assert capture.given - shown[-1] <= 2
                time.sleep(0.03)
    assert shown == sorted(set(shown))
    assert times == sorted(times)
    assert 5 < len(shown) < 40
    assert shown[-1] == 100
    assert capture.released


def test_leaving_early_stops_the_reader() -> None:
    before, capture = threading.active_count(), Capture(10_000)
    with Camera(0, capture) as camera:
        next(iter(camera))
    assert threading.active_count() == before
    assert capture.released


def test_a_camera_that_fails_has_stopped() -> None:
    class Unplugged(Capture):
        def read(self) -> tuple[bool, Any]:
            if self.given == 5:
                raise cv2.error("imdecode")
            return super().read()

    with Camera(0, Unplugged(10)) as camera, pytest.raises(VideoError, match="the camera stopped"):
        for frame in camera:
            assert frame.number < 5


def test_no_camera() -> None:
    capture = Capture(0)
    with pytest.raises(VideoError, match="camera:3: no such camera"):
        Camera(3, capture)
    assert capture.released
