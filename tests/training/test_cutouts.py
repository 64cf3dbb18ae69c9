"""Faces cut out of their pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from s3fd.training.cutouts import BLURRED, CutOut, blur, cut_out


def test_a_face_lies_in_the_middle_of_its_cut_out() -> None:
    picture = np.full((200, 300, 3), 40, np.uint8)
    picture[50:110, 120:150] = 220
    cut = cut_out(picture, np.array([120, 50, 150, 110], np.float32), 240)
    assert cut.size == (pytest.approx(60), pytest.approx(120))
    assert cut.side == pytest.approx(np.sqrt(60 * 120))
    rows, columns = np.nonzero(cut.decode()[:, :, 0] > 130)
    assert (rows.min(), rows.max() + 1) == (pytest.approx(60, abs=2), pytest.approx(180, abs=2))
    assert (columns.min(), columns.max() + 1) == (pytest.approx(90, abs=2), pytest.approx(150, abs=2))


def test_at_an_edge_the_outermost_pixels_go_on() -> None:
    picture = np.full((60, 60, 3), 90, np.uint8)
    assert (
        abs(cut_out(picture, np.array([0, 0, 50, 50], np.float32), 100).decode().astype(int) - 90).max() < 3
    )


def test_some_faces_lose_detail() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = [blur(pixels, rng) for _ in range(200)]
    assert all(shown.shape == pixels.shape for shown in seen)
    lost = [float(shown.std()) < 0.9 * float(pixels.std()) for shown in seen]
    assert 0.5 * BLURRED < np.mean(lost) < 1.5 * BLURRED
    assert sum(np.array_equal(shown, pixels) for shown in seen) == 200 - sum(lost)


def test_any_format_is_decoded() -> None:
    data = cv2.imencode(".png", np.full((8, 8, 3), 7, np.uint8))[1].tobytes()
    assert (CutOut(data, (4, 4)).decode() == 7).all()
