"""Unlabelled pictures, on which a jointly trained detector is held to its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.inference.sources import sources
from s3fd.training.augmentation import Labelled, Picture, cut, distort, flip, paper_window


def pictures_below(folders: Sequence[Path]) -> list[list[Path]]:
    """Return the pictures below each of `folders`; raise ValueError for a folder without pictures."""
    each = []
    for folder in folders:
        found = [Path(source.path) for source in sources([str(folder)]) if source.error is None]
        if not found:
            raise ValueError(f"{folder}: no pictures in this folder")
        each.append(found)
    return each


class UnlabelledStream:
    """A stream of square windows of pictures; those of a step depend only on the seed and the step."""

    def __init__(self, folders: Sequence[Path], seed: int) -> None:
        """Draw windows from pictures below `folders`, each folder equally often.

        Raises:
            ValueError: a folder has no pictures.
        """
        self.seed = seed
        self._folders = pictures_below(folders)
        self._unreadable: set[Path] = set()

    def draw(self, step: int, count: int, size: int) -> Tensor:
        """Draw the pictures of a step, (count, 3, size, size) uint8 BGR; none if there are no folders."""
        rng = np.random.default_rng((self.seed, step))
        made = [self._window(size, rng) for _ in range(count if self._folders else 0)]
        stacked = np.stack(made) if made else np.zeros((0, size, size, 3), np.uint8)
        return torch.from_numpy(stacked).permute(0, 3, 1, 2)

    def _window(self, size: int, rng: np.random.Generator) -> Picture:
        while True:
            folder = self._folders[rng.integers(len(self._folders))]
            path = folder[rng.integers(len(folder))]
            if path in self._unreadable:  # still drawn, as draws must not depend on earlier steps
                continue
            try:
                picture = pictures.read(path)
            except PictureError:
                self._unreadable.add(path)
                if self._unreadable.issuperset(folder):
                    raise ValueError(f"{path.parent}: none of its pictures can be read") from None
                continue
            item = Labelled(picture, np.zeros((0, 4), np.float32), np.zeros(0, bool))
            item = cut(item, paper_window(item, 1.0, rng), (size, size))
            item = flip(item) if rng.random() < 0.5 else item
            return distort(item.picture, rng)
