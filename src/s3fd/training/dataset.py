"""Stream of training pictures with their targets: entry n depends only on the seed and n."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from s3fd.data.labels import NOT_KNOWN
from s3fd.data.location import Location, Part, UnreachableError, read_bytes
from s3fd.data.sample import Sample
from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.network.s3fd import MEAN_BGR
from s3fd.training.alignment import Candidates
from s3fd.training.augmentation import Augmentation, Labelled, Picture
from s3fd.training.composer import Composer
from s3fd.training.config import MatchingConfig
from s3fd.training.targets import TargetMaker, label_anchors

JPEG = b"\xff\xd8\xff"
"""Magic number: the first bytes of every JPEG file."""

MOST_UNREADABLE = 100
"""Consecutive unreadable pictures after which reading fails: then the folder is gone, not a file damaged."""


class Example(NamedTuple):
    """One training picture.

    Attributes:
        picture: (3, S, S) uint8 BGR.
        labels, deltas, candidates: see `s3fd.training.targets.DetectionTargets`.
        attributes: (K, A) int16: each anchor's target class for each of K attributes, or `NOT_KNOWN`.
        names: the files it was made from.
        left_out: for each file that was drawn but could not be used, a message with its name and the reason.
    """

    picture: Tensor
    labels: Tensor
    deltas: Tensor
    candidates: Candidates
    attributes: Tensor
    names: list[str]
    left_out: list[str]


class Batch(NamedTuple):
    """A batch of examples: the tensors of `Example` with a leading batch dimension, candidates joined."""

    pictures: Tensor
    labels: Tensor
    deltas: Tensor
    candidates: Candidates
    attributes: Tensor
    names: list[str]
    left_out: list[str]


class Composing(NamedTuple):
    """How to compose pictures: `compose` makes a fraction `share` of them from labelled faces."""

    compose: Composer
    share: float


class TrainingStream(Dataset[Example]):
    """An endless sequence of training pictures, indexed by number.

    Number n takes its first picture from a permutation of the samples that is redrawn every epoch, and
    everything random from a generator seeded with (seed, n). A run that resumes at n therefore sees the same
    pictures as an uninterrupted run.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augmentation: Augmentation,
        matching: MatchingConfig,
        seed: int,
        cache: bool = False,
        composing: Composing | None = None,
    ) -> None:
        """Stream `samples`; `cache` keeps every decoded picture in memory.

        Raises ValueError if there are no samples.
        """
        if not samples:
            raise ValueError("there are no pictures to train on")
        self.samples = samples
        self.augmentation = augmentation
        self.seed = seed
        self.composing = composing
        self.targets = TargetMaker(augmentation.size, matching)
        self._cache: dict[Location | Part, Picture] | None = {} if cache else None

    def __getitem__(self, n: int) -> Example:
        """Make training picture number `n`."""
        rng = np.random.default_rng((self.seed, n))
        if self.composing and rng.random() < self.composing.share:
            return self._compose(self.composing.compose, rng)
        names: list[str] = []
        left_out: list[str] = []

        def draw() -> Labelled:
            count = len(self.samples)
            index = int(rng.integers(count)) if names else shuffled(n, count, self.seed)
            name, item = self._readable(index, rng, left_out)
            names.append(name)
            return item

        item = self.augmentation(draw, rng)
        kinds = len(self.composing.compose.columns) if self.composing else 0
        unknown = torch.full((kinds, len(self.targets.anchors)), NOT_KNOWN, dtype=torch.int16)
        targets = self.targets(item.boxes, item.ignored)
        return Example(_tensor(item.picture), *targets, unknown, names, left_out)

    def __getitems__(self, numbers: Sequence[int]) -> list[Example] | Exception:
        """Make several pictures, or return the error: raised in a worker, it would arrive as a traceback."""
        try:
            return [self[n] for n in numbers]
        except (OSError, ValueError, UnreachableError) as error:
            return error

    def _compose(self, compose: Composer, rng: np.random.Generator) -> Example:
        """Compose a picture of labelled faces; one of the samples can be its background."""
        left_out: list[str] = []

        def background() -> Labelled:
            return self._readable(int(rng.integers(len(self.samples))), rng, left_out)[1]

        known = len(compose.left_out)
        made, names = compose(background, rng)
        left_out += compose.left_out[known:]
        targets = self.targets(made.boxes, made.ignored)
        each = [
            label_anchors(made.boxes, made.ignored, made.labels[column], self.targets.anchors)
            for column in compose.columns
        ]
        told = torch.from_numpy(np.stack(each)).to(torch.int16)
        return Example(_tensor(made.picture), *targets, told, names, left_out)

    def _readable(self, index: int, rng: np.random.Generator, left_out: list[str]) -> tuple[str, Labelled]:
        """Return the name and content of sample `index`, or of a random one if it cannot be read.

        Raises:
            ValueError: `MOST_UNREADABLE` pictures in a row cannot be read.
        """
        for _ in range(MOST_UNREADABLE):
            try:
                return str(self.samples[index].path), self._load(index)
            except PictureError as error:
                left_out.append(str(error))
                index = int(rng.integers(len(self.samples)))
        raise ValueError(f"{MOST_UNREADABLE} pictures in a row cannot be read; the last: {left_out[-1]}")

    def _load(self, index: int) -> Labelled:
        sample = self.samples[index]
        if self._cache is None:
            return load(sample)
        if sample.path not in self._cache:  # several samples may share a picture, each with its own boxes
            self._cache[sample.path] = load(sample).picture
        return Labelled(self._cache[sample.path], sample.boxes, sample.ignored)


def _tensor(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)


def shuffled(n: int, count: int, seed: int) -> int:
    """Return the entry, of `count`, at position `n` of a sequence that is reshuffled every epoch."""
    epoch, position = divmod(n, count)
    return int(_order(epoch, count, seed)[position])


@lru_cache(maxsize=4)
def _order(epoch: int, count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, 1)).permutation(count)


class StepSampler(Sampler[list[int]]):
    """Sampler of the picture numbers of each step from `start` to `stop`, split by process and by part."""

    def __init__(
        self, start: int, stop: int, batch: int, *, parts: int = 1, rank: int = 0, count: int = 1
    ) -> None:
        """Number pictures consecutively; `count` processes, of which this is `rank`, share a step's `batch`.

        Each process yields its share in `parts` parts. Together, the processes yield the same numbers, part
        by part, as a single process would.

        Raises:
            ValueError: the batch cannot be split evenly.
        """
        if batch % (parts * count):
            shares = " and ".join(
                f"{n} {what}" for n, what in ((count, "processes"), (parts, "parts")) if n > 1
            )
            raise ValueError(f"a batch of {batch} pictures cannot be split evenly among {shares}")
        self.start, self.stop, self.batch = start, stop, batch
        self.parts, self.rank, self.count = parts, rank, count

    def __len__(self) -> int:
        """Return the number of steps times the number of parts."""
        return (self.stop - self.start) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the picture numbers of each part of each step."""
        size = self.batch // (self.parts * self.count)
        for step in range(self.start, self.stop):
            for part in range(self.parts):
                first = step * self.batch + (part * self.count + self.rank) * size
                yield list(range(first, first + size))


def load(sample: Sample) -> Labelled:
    """Read a sample's picture, upright.

    Raises:
        PictureError: the file cannot be read or decoded.
        UnreachableError: a URL cannot be reached.
    """
    try:
        data = read_bytes(sample.path)
        picture = _jpeg(data) if data.startswith(JPEG) else None
        return Labelled(pictures.read(data) if picture is None else picture, sample.boxes, sample.ignored)
    except PictureError as error:
        raise PictureError(str(sample.path), error.reason) from error
    except OSError as error:
        raise PictureError(str(sample.path), error.strerror or str(error)) from error


def _jpeg(data: bytes) -> Picture | None:
    """Decode a JPEG file with OpenCV: Pillow's pixels in two thirds of the time; None if decoding fails.

    OpenCV reads fewer kinds of orientation than Pillow, which the boxes were checked with.

    Raises:
        PictureError: Pillow cannot read it.
    """
    try:
        how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:  # a side of more than 2²⁰ pixels
        return None
    return None if picture is None else pictures.upright(np.asarray(picture, np.uint8), data)


def collate(examples: Sequence[Example] | Exception) -> Batch | Exception:
    """Stack examples into a batch; an exception in their place is returned unchanged."""
    if isinstance(examples, Exception):
        return examples
    return Batch(
        torch.stack([e.picture for e in examples]).contiguous(memory_format=torch.channels_last),
        torch.stack([e.labels for e in examples]),
        torch.stack([e.deltas for e in examples]),
        _join([e.candidates for e in examples], examples[0].labels.shape[0]),
        torch.stack([e.attributes for e in examples]),
        [name for e in examples for name in e.names],
        [reason for e in examples for reason in e.left_out],
    )


def _join(each: Sequence[Candidates], anchors: int) -> Candidates:
    """Join the candidates of pictures with `anchors` anchors each, numbering anchors across the batch."""
    rows = [torch.where(c.anchors < 0, -1, c.anchors + i * anchors) for i, c in enumerate(each)]
    return Candidates(torch.cat(rows), torch.cat([c.deltas for c in each]))


def normalise(pictures: Tensor) -> Tensor:
    """Convert (B, 3, H, W) uint8 BGR to float32 and subtract the mean."""
    return pictures.float() - pictures.new_tensor(MEAN_BGR, dtype=torch.float32)[:, None, None]
