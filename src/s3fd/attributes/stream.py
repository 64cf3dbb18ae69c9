"""A stream of labelled pictures for fine-tuning; entry n depends only on the seed and n."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.data.labels import NOT_KNOWN, LabelledPicture
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training.augmentation import Labelled, Window, cut, distort, flip
from s3fd.training.composer import NONE_INSIDE
from s3fd.training.dataset import shuffled
from s3fd.training.targets import label_anchors

LOOSEST = 1.5
"""Maximum side of a training window, relative to the longer side of the picture; outside it, all is grey."""


class Batch(NamedTuple):
    """A batch of training pictures.

    Attributes:
        pictures: (B, 3, S, S) uint8 BGR.
        targets: (B, A) int64: the class that each anchor should predict, -1 for none.
        names: the files of the pictures.
        left_out: which pictures could not be used, and why.
    """

    pictures: Tensor
    targets: Tensor
    names: list[str]
    left_out: list[str]


Example = tuple[NDArray[np.uint8], NDArray[np.int64], str]
"""A training picture (S, S, 3), the targets (A,) of its anchors, and its file."""


def side_by_side(examples: Sequence[Example], size: int, anchors: int, left_out: list[str]) -> Batch:
    """Stack pictures of `size` × `size` pixels with `anchors` anchors each into a batch; it may be empty."""
    pixels = np.zeros((len(examples), size, size, 3), np.uint8)
    targets = np.zeros((len(examples), anchors), np.int64)
    for i, (shown, told, _) in enumerate(examples):
        pixels[i], targets[i] = shown, told
    stacked = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return Batch(stacked, torch.from_numpy(targets), [name for _, _, name in examples], left_out)


class LabelledStream:
    """An endless stream of labelled pictures as squares, in a new order every epoch.

    The label of a whole picture goes to all its anchors, of which the trainer uses those where the detector
    finds a face. The label of a box goes to the anchors that match the box.
    """

    def __init__(
        self,
        items: Sequence[LabelledPicture],
        column: str,
        size: int,
        seed: int,
        *,
        flip: bool,
        distort: bool,
    ) -> None:
        """Stream `items` with their labels of `column` as squares of `size` × `size` pixels."""
        self.items = items
        self.column = column
        self.size = size
        self.seed = seed
        self.flip = flip
        self.distort = distort
        self._anchors = anchor_ops.anchors(anchor_ops.map_sizes(size, size))

    def batches(self, start: int, stop: int, batch: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`, without pictures that cannot be used.

        A batch may therefore have fewer than `batch` pictures, or none.
        """
        for step in range(start, stop):
            examples, left_out = [], []
            for n in range(step * batch, (step + 1) * batch):
                try:
                    examples.append(self._example(n))
                except PictureError as error:
                    left_out.append(str(error))
            yield side_by_side(examples, self.size, len(self._anchors), left_out)

    def _example(self, n: int) -> Example:
        """Return picture `n` (S, S, 3), the targets (A,) of its anchors, and its file.

        Raises:
            PictureError: the picture cannot be read, or none of its labelled boxes lies inside it.
        """
        item = self.items[shuffled(n, len(self.items), self.seed)]
        rng = np.random.default_rng((self.seed, n))
        picture = pictures.read(item.path)
        labels = item.labels[self.column]
        boxes = np.zeros((0, 4), np.float32)
        if item.boxes is not None:
            inside = box_ops.clip(item.boxes, picture.shape[1], picture.shape[0])
            whole = box_ops.area(inside) > 0
            boxes, labels = inside[whole], labels[whole]
            if not (labels != NOT_KNOWN).any():
                raise PictureError(str(item.path), NONE_INSIDE)
        shown = Labelled(picture, boxes, np.zeros(len(boxes), bool))
        shown = cut(shown, self._window(picture.shape[1], picture.shape[0], rng), (self.size, self.size))
        if self.flip and rng.random() < 0.5:
            shown = flip(shown)
        pixels = distort(shown.picture, rng) if self.distort else shown.picture
        if item.boxes is None:
            targets = np.full(len(self._anchors), labels[0], np.int64)
        else:
            targets = label_anchors(shown.boxes, np.zeros(len(labels), bool), labels, self._anchors)
        return pixels, targets, str(item.path)

    def _window(self, width: int, height: int, rng: np.random.Generator) -> Window:
        """Draw a square window that contains the whole picture, at a random size and position."""
        side = max(width, height) * float(rng.uniform(1, LOOSEST))
        return Window(float(rng.uniform(width - side, 0)), float(rng.uniform(height - side, 0)), side, side)
