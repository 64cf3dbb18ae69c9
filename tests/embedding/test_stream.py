"""How faces are shown to an embedding that learns."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from s3fd.embedding import stream
from s3fd.embedding.faces import SIDE, Face
from s3fd.embedding.stream import ANCHOR, MISPLACED, OCTAVES, OFF_CENTRE, STRIDE, WINDOW, FaceStream, show


def disc(person: int = 0, side: float = 88) -> Face:
    """A white disc as large as the face, in the middle of a black cut-out."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    cv2.circle(pixels, (SIDE // 2, SIDE // 2), round(side / 2), (255, 255, 255), -1)
    return Face(cv2.imencode(".png", pixels)[1].tobytes(), (side, side), person, None)


def test_the_centre_is_where_the_face_is_shown_and_sizes_are_those_of_the_layer() -> None:
    rng = np.random.default_rng(0)
    misses, octaves = [], []
    for _ in range(300):
        pixels, centre = show(disc(), rng)
        bright = pixels.min(axis=2) > pixels.min(axis=2).max() / 2
        rows, columns = np.nonzero(bright)
        place = np.array([columns.mean(), rows.mean()]) + 0.5
        diameter = 2 * np.sqrt(bright.sum() / np.pi)
        octaves.append(np.log2(diameter / ANCHOR))
        misses.append((place - centre) / diameter)
        assert np.abs(place - WINDOW / 2).max() < OFF_CENTRE * STRIDE + 2
    assert min(octaves) > OCTAVES[0] - 0.1 and max(octaves) < OCTAVES[2] + 0.1
    assert max(octaves) - min(octaves) > 1
    assert np.abs(np.mean(misses, axis=0)).max() < 0.02
    assert 0.5 * MISPLACED < np.std(misses) < 1.5 * MISPLACED


def test_the_centre_is_exact_but_for_its_random_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MISPLACED", 0)
    for name in ("distort", "blur"):
        monkeypatch.setattr(stream, name, lambda pixels, rng: pixels)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[SIDE // 2 - 28 : SIDE // 2 + 28, SIDE // 2 - 28 : SIDE // 2 + 28] = 255
    face = Face(cv2.imencode(".png", pixels)[1].tobytes(), (88, 88), 0, None)
    for seed in range(60):
        shown, centre = show(face, np.random.default_rng(seed))
        places = (np.indices(shown.shape[:2])[::-1] + 0.5).reshape(2, -1)
        middle = np.average(places, axis=1, weights=shown[..., 0].ravel())
        assert np.abs(middle - centre).max() < 0.2


def test_every_face_comes_once_an_epoch_and_any_step_can_be_made_again() -> None:
    faces = FaceStream([disc(i) for i in range(12)], dimension=4, batch=6, seed=0)
    made = list(faces.batches(0, 4))
    for first in (0, 2):
        assert sorted(torch.cat([b.persons for b in made[first : first + 2]]).tolist()) == list(range(12))
    assert made[0].persons.tolist() != made[2].persons.tolist()
    (again,) = faces.batches(3, 4)
    assert all(torch.equal(a, b) for a, b in zip(again, made[3], strict=True))
    assert again.pictures.shape == (6, 3, WINDOW, WINDOW) and not again.vectors.any()
