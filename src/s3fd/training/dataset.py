"""The stream of training pictures with their targets: entry n is a function of the seed and n alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data.sample import Sample
from s3fd.network.s3fd import MEAN_BGR
from s3fd.training.alignment import Candidates
from s3fd.training.augmentation import Augmentation, Labelled
from s3fd.training.config import MatchingConfig
from s3fd.training.matching import BACKGROUND, FACE, IGNORED, candidates, match


class Example(NamedTuple):
    """One training picture.

    Attributes:
        picture: (3, S, S) uint8 BGR.
        labels: (A,) int8, see `s3fd.training.matching`.
        deltas: (A, 4) float32 coded boxes; zero but for face anchors.
        candidates: where anchors are assigned while training, those of each face; else of no face.
        names: the files it was made from.
    """

    picture: Tensor
    labels: Tensor
    deltas: Tensor
    candidates: Candidates
    names: list[str]


class Batch(NamedTuple):
    """Examples side by side: the tensors of `Example` with a batch dimension in front, candidates joined."""

    pictures: Tensor
    labels: Tensor
    deltas: Tensor
    candidates: Candidates
    names: list[str]


class TrainingStream(Dataset[Example]):
    """An endless sequence of training pictures, addressed by number.

    Number n draws its first picture from a permutation of the samples that is new every epoch, and everything
    random from a generator seeded with (seed, n): a run that resumes at n sees what it would have seen.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augmentation: Augmentation,
        matching: MatchingConfig,
        seed: int,
        cache: bool = False,
    ) -> None:
        """Stream `samples`; `cache` keeps every decoded picture in memory.

        Raises ValueError if there are no samples.
        """
        if not samples:
            raise ValueError("there is no picture to train on")
        self.samples = samples
        self.augmentation = augmentation
        self.matching = matching
        self.seed = seed
        self._cache: dict[Path, Labelled] | None = {} if cache else None
        self._permutation: tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.int64]]] | None = None

    @cached_property
    def anchors(self) -> FloatArray:
        """Anchors (A, 4) of the training size."""
        size = self.augmentation.size
        return anchor_ops.anchors(anchor_ops.map_sizes(size, size))

    @cached_property
    def _first_anchor(self) -> int:
        """Row of the first anchor that is trained."""
        size = self.augmentation.size
        layers = anchor_ops.map_sizes(size, size)[: self.matching.first_layer]
        return sum(height * width for height, width in layers)

    def __getitem__(self, n: int) -> Example:
        """Make training picture number `n`."""
        rng = np.random.default_rng((self.seed, n))
        names: list[str] = []

        def draw() -> Labelled:
            index = int(rng.integers(len(self.samples))) if names else self._index(n)
            names.append(str(self.samples[index].path))
            return self._load(index)

        item = self.augmentation(draw, rng)
        picture = torch.from_numpy(item.picture).permute(2, 0, 1)
        return Example(picture, *self._targets(item), names)

    def _targets(self, item: Labelled) -> tuple[Tensor, Tensor, Candidates]:
        """Labels, coded boxes and candidates of a picture, see `Example`."""
        config = self.matching
        aligned = config.method == "aligned"
        deltas = np.zeros((len(self.anchors), 4), np.float32)
        rows = np.zeros((0, config.candidates), np.int64)
        coded = np.zeros((0, config.candidates, 4), np.float32)
        faces = item.boxes[~item.ignored]
        first = self._first_anchor
        matched = match(
            item.boxes,
            item.ignored,
            self.anchors[first:],
            match_iou=config.match_iou,
            compensation_iou=config.compensation_iou,
            anchors_per_face=config.anchors_per_face,
        )
        labels = np.concatenate([np.full(first, IGNORED, np.int8), matched.labels])
        face = labels == FACE
        if aligned:
            labels[face] = BACKGROUND
            rows = candidates(
                faces, self.anchors[first:], compensation_iou=config.compensation_iou, count=config.candidates
            )
            rows[rows >= 0] += first
            each = np.repeat(faces, config.candidates, axis=0)
            coded = box_ops.encode(each, self.anchors[rows.clip(min=0).ravel()]).reshape(*rows.shape, 4)
        else:
            wanted = item.boxes[matched.matched[matched.labels == FACE]]
            deltas[face] = box_ops.encode(wanted, self.anchors[face])
        return (
            torch.from_numpy(labels),
            torch.from_numpy(deltas),
            Candidates(torch.from_numpy(rows), torch.from_numpy(coded)),
        )

    def _load(self, index: int) -> Labelled:
        sample = self.samples[index]
        if self._cache is None:
            return load(sample)
        if sample.path not in self._cache:  # a repeated set has several samples of a picture
            self._cache[sample.path] = load(sample)
        return self._cache[sample.path]

    def _index(self, n: int) -> int:
        epoch, position = divmod(n, len(self.samples))
        if self._permutation is None or self._permutation[0] != epoch:
            order = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.samples))
            self._permutation = (epoch, order)
        return int(self._permutation[1][position])


class StepSampler(Sampler[list[int]]):
    """The numbers of each batch from step `start` to step `stop`."""

    def __init__(self, start: int, stop: int, batch: int) -> None:
        """Give `batch` consecutive numbers a step."""
        self.start, self.stop, self.batch = start, stop, batch

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the numbers of each step."""
        for step in range(self.start, self.stop):
            yield list(range(step * self.batch, (step + 1) * self.batch))


def load(sample: Sample) -> Labelled:
    """Read a sample's picture, upright.

    Raises:
        OSError: the file cannot be read or decoded.
    """
    picture = cv2.imread(str(sample.path), cv2.IMREAD_COLOR)
    if picture is None:
        raise OSError(f"cannot read {sample.path}")
    return Labelled(np.asarray(picture, np.uint8), sample.boxes, sample.ignored)


def collate(examples: Sequence[Example]) -> Batch:
    """Stack examples into a batch."""
    return Batch(
        torch.stack([e.picture for e in examples]).contiguous(memory_format=torch.channels_last),
        torch.stack([e.labels for e in examples]),
        torch.stack([e.deltas for e in examples]),
        _join([e.candidates for e in examples], examples[0].labels.shape[0]),
        [name for e in examples for name in e.names],
    )


def _join(each: Sequence[Candidates], anchors: int) -> Candidates:
    """Join candidates of pictures with so many `anchors` each, counted through."""
    rows = [torch.where(c.anchors < 0, -1, c.anchors + i * anchors) for i, c in enumerate(each)]
    return Candidates(torch.cat(rows), torch.cat([c.deltas for c in each]))


def normalise(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 BGR to float32 minus the mean."""
    return pictures.float() - pictures.new_tensor(MEAN_BGR, dtype=torch.float32)[:, None, None]
