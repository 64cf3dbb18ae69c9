"""Reading of labelled faces from their files, to compose training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from s3fd import boxes as box_ops
from s3fd.data.labels import INVALID, NOT_KNOWN, LabelledPicture
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.training.augmentation import Labelled
from s3fd.training.composition import Composition, LabelledFaces, reduced

NONE_INSIDE = "no labelled box lies inside the picture"
"""Reason for leaving out a picture that can be read."""


class Composer:
    """Compose training pictures from labelled pictures, each of which is read once and kept in memory.

    They are kept at a reduced scale if their faces are larger than the composed pictures can show.

    Attributes:
        left_out: for each picture that turned out to be unusable, a message with its name and the reason.
    """

    def __init__(self, items: Sequence[LabelledPicture], columns: Sequence[str], policy: Composition) -> None:
        """Use those of `items` that have a label in one of `columns`.

        Raises:
            ValueError: the labels are of whole pictures and do not locate the face, or there is no label.
        """
        if any(item.boxes is None for item in items):
            raise ValueError("composed pictures need labels with boxes (columns x1, y1, x2, y2)")
        self.items = [item for item in items if any((item.labels[c] != NOT_KNOWN).any() for c in columns)]
        if not self.items:
            raise ValueError(f"no face has a label for {' or '.join(columns)}")
        self.columns = tuple(columns)
        self.policy = policy
        self.left_out: list[str] = []
        self._cache: dict[int, LabelledFaces | None] = {}

    def __call__(
        self, background: Callable[[], Labelled] | None, rng: np.random.Generator
    ) -> tuple[LabelledFaces, list[str]]:
        """Compose one picture, and return it with the names of the labelled pictures in it.

        `background` returns a picture that may lie under the faces; None if there is none.

        Raises:
            ValueError: none of the pictures can be read and has a labelled box inside.
        """
        names: list[str] = []

        def draw() -> LabelledFaces:
            while True:
                index = int(rng.integers(len(self.items)))
                found = self._load(index)
                if found is not None:
                    names.append(str(self.items[index].path))
                    return found
                if len(self._cache) == len(self.items) and not any(self._cache.values()):
                    raise ValueError(
                        f"no usable picture to compose: {self.items[index].path} and all others are "
                        "unreadable, or have no labelled box inside the picture"
                    )

        return self.policy(draw, background, rng), names

    def _load(self, index: int) -> LabelledFaces | None:
        """Return a picture with its faces, or None if it cannot be read or has no labelled box inside."""
        if index not in self._cache:
            self._cache[index] = self._read(self.items[index])
        return self._cache[index]

    def _read(self, item: LabelledPicture) -> LabelledFaces | None:
        try:
            picture = pictures.read(item.path)
        except PictureError as error:
            self.left_out.append(str(error))
            return None
        assert item.boxes is not None
        boxes = box_ops.clip(item.boxes, picture.shape[1], picture.shape[0])
        inside = box_ops.area(boxes) > 1
        labels = {column: item.labels[column][inside] for column in self.columns}
        ignored = np.array(item.extra.get(INVALID, [""] * len(boxes))) == "1"
        if not any((known[~ignored[inside]] != NOT_KNOWN).any() for known in labels.values()):
            self.left_out.append(f"{item.path}: {NONE_INSIDE}")
            return None
        found = LabelledFaces(picture, boxes[inside], labels, ignored[inside])
        return reduced(found, self.policy.face_sizes[1])
