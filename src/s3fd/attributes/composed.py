"""A stream of training pictures composed of labelled faces of many sizes (`s3fd.training.composition`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from s3fd import anchors as anchor_ops
from s3fd.attributes.stream import Batch
from s3fd.data.labels import LabelledPicture
from s3fd.training.composer import Composer
from s3fd.training.composition import Composition
from s3fd.training.targets import label_anchors


class ComposedStream:
    """Pictures composed of the faces of `items`; picture n depends only on the seed and n."""

    def __init__(self, items: Sequence[LabelledPicture], column: str, policy: Composition, seed: int) -> None:
        """Compose `items`; raise ValueError in the same cases as `s3fd.training.composer.Composer`."""
        self.column = column
        self.seed = seed
        self._compose = Composer(items, [column], policy)
        self._anchors = anchor_ops.anchors(anchor_ops.map_sizes(policy.size, policy.size))

    def batches(self, start: int, stop: int, batch: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`."""
        for step in range(start, stop):
            made = [self._example(n) for n in range(step * batch, (step + 1) * batch)]
            stacked = torch.from_numpy(np.stack([pixels for pixels, _, _ in made])).permute(0, 3, 1, 2)
            targets = torch.from_numpy(np.stack([targets for _, targets, _ in made]))
            left_out, self._compose.left_out = self._compose.left_out, []
            yield Batch(stacked, targets, [name for _, _, names in made for name in names], left_out)

    def _example(self, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
        """Return picture `n` (S, S, 3), the targets (A,) of its anchors, and the files it is composed of."""
        made, names = self._compose(None, np.random.default_rng((self.seed, n)))
        targets = label_anchors(made.boxes, made.ignored, made.labels[self.column], self._anchors)
        return made.picture, targets, names
