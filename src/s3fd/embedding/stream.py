"""A stream of training pictures; the batch of a step depends only on the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3fd.anchors import ANCHOR_SIZES, STRIDES
from s3fd.embedding.faces import SIDE, Face
from s3fd.network.branch import FIRST_LAYER
from s3fd.training.augmentation import distort
from s3fd.training.cutouts import blur
from s3fd.training.dataset import shuffled

STRIDE, ANCHOR = STRIDES[FIRST_LAYER], ANCHOR_SIZES[FIRST_LAYER]
"""Stride and anchor size of the layer that training pictures are made for. For each coarser layer, the
network halves the picture, so that a face of that layer's size looks the same."""

WINDOW = 7 * STRIDE
"""Side of a training picture in pixels."""

OCTAVES = (-1.0, 0.0, 0.5)
"""A face's size is that of the anchor times 2 to a power drawn from a triangular distribution with this
minimum, mode and maximum. Smaller faces are included because the finest layer handles them too."""

OFF_CENTRE = 0.5
"""Maximum offset of a face's centre from the middle of the picture, in cells along each axis. The network's
output moves with the face from cell to cell, but not within a cell."""

MISPLACED = 0.04
"""Standard deviation of the error in a face's centre, as a share of the face's side: boxes are not exact."""

TURN = 10.0
"""Maximum rotation of a face in either direction, in degrees."""


class Batch(NamedTuple):
    """A batch of training faces.

    Attributes:
        pictures: (B, 3, `WINDOW`, `WINDOW`) uint8 BGR.
        centres: (B, 2) float32, x and y in pixels, the centres of the boxes.
        persons: (B,) int64, indices of people, `NOT_KNOWN` for unknown people.
        vectors: (B, D) float32, the teacher's vectors; zero where there is none.
    """

    pictures: Tensor
    centres: Tensor
    persons: Tensor
    vectors: Tensor


class FaceStream:
    """An endless stream of faces at random sizes and positions, in a new order every epoch."""

    def __init__(self, faces: Sequence[Face], dimension: int, batch: int, seed: int) -> None:
        """Stream `faces` in batches of `batch`, with the teacher's vectors of `dimension` numbers."""
        self.faces, self.batch, self.seed = faces, batch, seed
        self._blank = np.zeros(dimension, np.float32)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`."""
        for step in range(start, stop):
            rng = np.random.default_rng((self.seed, 1, step))
            numbers = range(step * self.batch, (step + 1) * self.batch)
            chosen = [self.faces[shuffled(n, len(self.faces), self.seed)] for n in numbers]
            made = [show(face, rng) for face in chosen]
            vectors = [self._blank if face.vector is None else face.vector for face in chosen]
            yield Batch(
                torch.from_numpy(np.stack([pixels for pixels, _ in made])).permute(0, 3, 1, 2),
                torch.from_numpy(np.stack([centre for _, centre in made])),
                torch.tensor([face.person for face in chosen]),
                torch.from_numpy(np.stack(vectors)),
            )


def show(face: Face, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a random view (`WINDOW`, `WINDOW`, 3) of a face, and its centre (2,) with a random error."""
    scale = ANCHOR * 2 ** rng.triangular(*OCTAVES) / face.side
    place = WINDOW / 2 + rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * STRIDE
    middle = ((SIDE - 1) / 2,) * 2  # in OpenCV, pixel 0 is centred at 0
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-TURN, TURN), scale)
    matrix = matrix + np.array([[0, 0, place[0] - SIDE / 2], [0, 0, place[1] - SIDE / 2]])
    if rng.random() < 0.5:
        matrix = np.array([[-1, 0], [0, 1]]) @ matrix + np.array([[0, 0, WINDOW - 1], [0, 0, 0]])
        place[0] = WINDOW - place[0]
    pixels = blur(face.decode(), rng)
    shown = cv2.warpAffine(pixels, matrix, (WINDOW, WINDOW), borderMode=cv2.BORDER_REPLICATE)
    seems = place + rng.normal(0, MISPLACED * scale * face.side, 2)
    return distort(np.asarray(shown, np.uint8), rng), seems.astype(np.float32)
