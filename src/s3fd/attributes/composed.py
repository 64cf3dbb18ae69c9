"""The stream of composed training pictures: labelled faces of many sizes (`s3fd.attributes.composition`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.attributes.composition import Composition, LabelledFaces
from s3fd.attributes.losses import NO_LABEL
from s3fd.attributes.stream import Batch
from s3fd.data.labels import LabelledPicture
from s3fd.data.sample import Sample
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training.augmentation import Labelled
from s3fd.training.dataset import load
from s3fd.training.matching import FACE, match


class ComposedStream:
    """Pictures composed of the faces of `items`; number n is a function of the seed and n alone."""

    def __init__(
        self,
        items: Sequence[LabelledPicture],
        column: str,
        policy: Composition,
        seed: int,
        backgrounds: Sequence[Sample] = (),
    ) -> None:
        """Compose `items`, whose labels are of boxes, over `backgrounds`.

        Raises:
            ValueError: labels of whole pictures, which do not say where the face is.
        """
        if any(item.boxes is None for item in items):
            raise ValueError(
                "composing needs labels of boxes (columns x1, y1, x2, y2): tools/locate_faces.py adds them"
            )
        self.items = [item for item in items if (item.labels[column] != NO_LABEL).any()]
        self.column = column
        self.policy = policy
        self.seed = seed
        self.backgrounds = backgrounds
        self._anchors = anchor_ops.anchors(anchor_ops.map_sizes(policy.size, policy.size))
        self._cache: dict[int, LabelledFaces | None] = {}

    def batches(self, start: int, stop: int, batch: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `stop`."""
        for step in range(start, stop):
            made = [self._example(n) for n in range(step * batch, (step + 1) * batch)]
            stacked = torch.from_numpy(np.stack([pixels for pixels, _, _ in made])).permute(0, 3, 1, 2)
            targets = torch.from_numpy(np.stack([targets for _, targets, _ in made]))
            yield Batch(stacked, targets, [name for _, _, names in made for name in names])

    def _example(self, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
        """Picture number `n` (S, S, 3), the targets (A,) of its anchors, and the files it is made of."""
        rng = np.random.default_rng((self.seed, n))
        names: list[str] = []

        def draw() -> LabelledFaces:
            while True:
                index = int(rng.integers(len(self.items)))
                found = self._load(index)
                if found is not None:
                    names.append(str(self.items[index].path))
                    return found

        def background() -> Labelled:
            return load(self.backgrounds[int(rng.integers(len(self.backgrounds)))])

        made = self.policy(draw, background if self.backgrounds else None, rng)
        return made.picture, self._targets(made), names

    def _targets(self, made: LabelledFaces) -> NDArray[np.int64]:
        """The class of the face that each anchor answers for."""
        targets = np.full(len(self._anchors), NO_LABEL, np.int64)
        matched = match(made.boxes, made.ignored, self._anchors)
        faces = matched.labels == FACE
        targets[faces] = made.labels[self.column][matched.matched[faces]]
        return targets

    def _load(self, index: int) -> LabelledFaces | None:
        """A picture with its faces; None if it cannot be read or no labelled box lies in it."""
        if index not in self._cache:
            self._cache[index] = self._read(self.items[index])
        return self._cache[index]

    def _read(self, item: LabelledPicture) -> LabelledFaces | None:
        try:
            picture = pictures.read(item.path)
        except PictureError:
            return None
        assert item.boxes is not None
        boxes = box_ops.clip(item.boxes, picture.shape[1], picture.shape[0])
        whole = box_ops.area(boxes) > 1
        labels = item.labels[self.column][whole]
        if not (labels != NO_LABEL).any():
            return None
        return LabelledFaces(picture, boxes[whole], {self.column: labels}, np.zeros(len(labels), bool))
