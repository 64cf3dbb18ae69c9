"""The stream of training pictures: entry n is a function of the seed and n alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3fd.anchors import ANCHOR_SIZES, STRIDES
from s3fd.embedding.faces import SIDE, Face
from s3fd.training.augmentation import distort
from s3fd.training.dataset import shuffled

WINDOW = 8
"""Side of a training picture in cells of the layer that it is for."""

OCTAVE = 0.5
"""Faces have the size of the layer's anchor times 2 to the power of -`OCTAVE` to `OCTAVE`."""

SMALLEST = 1.0
"""Octaves by which faces may be smaller than the anchor of the first layer, which answers for them too."""

OFF_CENTRE = 1.0
"""Cells by which the face's centre may lie off the middle of the window, in each direction."""

TURN = 10.0
"""Degrees by which a face may be turned, either way."""

BLURRED = 0.2
"""Share of the faces that are seen as if they had been enlarged."""

LEFT = (0.35, 0.8)
"""What is left of their pixels, in each direction."""


FEWEST = 4
"""Faces of a batch, at least: normalisation needs some."""


class Batch(NamedTuple):
    """Faces that one layer of an embedding answers for.

    Attributes:
        pictures: (B, 3, S, S) uint8 BGR.
        centres: (B, 2) float32, x and y in pixels, of the boxes.
        persons: (B,) int64, numbers of people, `NOT_KNOWN` where nobody knows.
        vectors: (B, D) float32, what the teacher says; zero where it says nothing.
        level: number of the layer among those of the embedding.
    """

    pictures: Tensor
    centres: Tensor
    persons: Tensor
    vectors: Tensor
    level: int


class FaceStream:
    """Faces at random sizes and places, over and over, in an order that is new every epoch.

    A coarser layer sees pictures of four times the pixels, and half as many faces in a batch.
    """

    def __init__(
        self,
        faces: Sequence[Face],
        layers: Sequence[int],
        shares: Sequence[float],
        dimension: int,
        batch: int,
        seed: int,
    ) -> None:
        """Stream `faces` in batches, each for one of `layers`, which get these `shares` of them.

        Raises ValueError for shares that are not one a layer.
        """
        if len(shares) != len(layers) or min(shares) < 0 or not sum(shares):
            raise ValueError(f"levels are one share a layer, not {tuple(shares)} for {tuple(layers)}")
        self.faces, self.layers, self.batch, self.seed = faces, layers, batch, seed
        self._shares = np.array(shares) / sum(shares)
        self._dimension = dimension

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`."""
        for step in range(start, stop):
            rng = np.random.default_rng((self.seed, 1, step))
            level = int(rng.choice(len(self.layers), p=self._shares))
            count = max(FEWEST, self.batch >> level)
            numbers = range(step * self.batch, step * self.batch + count)
            chosen = [self.faces[shuffled(n, len(self.faces), self.seed)] for n in numbers]
            made = [self._show(face, level, rng) for face in chosen]
            blank = np.zeros(self._dimension, np.float32)
            vectors = [blank if face.vector is None else face.vector for face in chosen]
            yield Batch(
                torch.from_numpy(np.stack([pixels for pixels, _ in made])).permute(0, 3, 1, 2),
                torch.from_numpy(np.stack([centre for _, centre in made])),
                torch.tensor([face.person for face in chosen]),
                torch.from_numpy(np.stack(vectors)),
                level,
            )

    def _show(
        self, face: Face, level: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """A face (S, S, 3) as a layer may see it, and where its centre is."""
        stride, anchor = STRIDES[self.layers[level]], ANCHOR_SIZES[self.layers[level]]
        side = WINDOW * stride
        octaves = rng.uniform(-(OCTAVE if level else SMALLEST), OCTAVE)
        scale = anchor * 2**octaves / math.sqrt(face.size[0] * face.size[1])
        x, y = side / 2 + rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * stride
        matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-TURN, TURN), scale)
        matrix = matrix + np.array([[0, 0, x - SIDE / 2], [0, 0, y - SIDE / 2]])
        if rng.random() < 0.5:
            matrix = np.array([[-1, 0], [0, 1]]) @ matrix + np.array([[0, 0, side], [0, 0, 0]])
            x = side - x
        pixels = decode(face)
        if rng.random() < BLURRED:
            small = int(rng.uniform(*LEFT) * SIDE)
            shrunk = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
            pixels = np.asarray(cv2.resize(shrunk, (SIDE, SIDE)), np.uint8)
        shown = cv2.warpAffine(pixels, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        return distort(np.asarray(shown, np.uint8), rng), np.array([x, y], np.float32)


def decode(face: Face) -> NDArray[np.uint8]:
    """The cut-out (`SIDE`, `SIDE`, 3) BGR."""
    pixels = cv2.imdecode(np.frombuffer(face.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)
