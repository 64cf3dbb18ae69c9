"""Training an embedding on a frozen detector. Read it from `train` down."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from s3fd.anchors import STRIDES
from s3fd.embedding.config import EmbedConfig
from s3fd.embedding.faces import Face
from s3fd.embedding.loss import MarginLoss, teacher_loss
from s3fd.embedding.stream import Batch, FaceStream
from s3fd.inference.threads import ahead
from s3fd.network import S3FD
from s3fd.network.branch import FIRST_LAYER
from s3fd.network.embedding import EmbeddingBranch
from s3fd.network.slim import Slim
from s3fd.training.checkpoint import Part
from s3fd.training.dataset import normalise
from s3fd.training.journal import Journal
from s3fd.training.schedule import learning_rate, make_optimiser
from s3fd.training.trainer import TrainingError

T = TypeVar("T")

WAITING = 64
"""Batches, as the frozen features of their pictures, that wait for another step: 2 MB each."""


@dataclass(frozen=True)
class Step:
    """What one step saw.

    Attributes:
        number: of the step, from 1.
        loss: that was learnt from.
        agreement: mean cosine with the teacher; NaN if it says nothing of the batch.
        margin: loss of the faces whose person is known, before it is weighted.
        gradient_norm: of the branch, before it was clipped.
        learning_rate: of the step.
    """

    number: int
    loss: float
    agreement: float
    margin: float
    gradient_norm: float
    learning_rate: float

    def figures(self) -> dict[str, float]:
        """What is recorded of it."""
        return {
            "loss/total": self.loss,
            "loss/margin": self.margin,
            "agreement": self.agreement,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.learning_rate,
        }


def train(
    network: S3FD,
    faces: Sequence[Face],
    people: int,
    config: EmbedConfig,
    on_step: Callable[[Step, int], None] = lambda step, steps: None,
    journal: Journal | None = None,
) -> S3FD:
    """Give `network` an embedding and train it on `faces` of so many `people`; `on_step` hears of every step.

    The detector is frozen, and finds what it found. What `journal` has of a run that was killed is continued.

    Raises:
        ValueError: no face; a backbone without a place for a branch; a teacher of another dimension; a
            journal that does not fit.
        TrainingError: the gradient is not finite.
    """
    if not faces:
        raise ValueError("there is no face to train on")
    torch.manual_seed(config.seed)
    network.requires_grad_(False)
    network.eval()
    branch = network.embed(config.branch.embedding)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    margin = MarginLoss(
        max(people, 1),
        config.branch.dimension,
        config.margin.kind,
        config.margin.margin,
        config.margin.scale,
    )
    optimiser = make_optimiser(nn.ModuleList([branch, margin]), config.optimiser)
    stream = FaceStream(
        faces, config.branch.layers, config.levels, config.branch.dimension, config.batch, config.seed
    )
    steps = max(1, math.ceil(len(faces) * config.epochs / config.batch))
    parts: dict[str, Part] = {"branch": branch, "margin": margin, "optimiser": optimiser}
    start = journal.begin(parts) if journal is not None else 0
    branch.train()

    def seen(first: int) -> Iterator[tuple[Batch, Tensor]]:
        """Batches from number `first` on, with what the frozen detector sees in them."""
        for batch in ahead(stream.batches(first, math.ceil(steps / config.echo))):
            yield batch, see(network, batch)

    echoes = islice(echo(seen, config.echo, config.seed, start), steps - start)
    for number, (batch, early) in enumerate(echoes, start):
        step = _advance(branch, margin, batch, early, number, steps, optimiser, config)
        if journal is not None:
            journal.add(step.figures(), last=step.number == steps)
        on_step(step, steps)
    branch.eval()
    return network


def _advance(
    branch: EmbeddingBranch,
    margin: MarginLoss,
    batch: Batch,
    early: Tensor,
    number: int,
    steps: int,
    optimiser: Optimizer,
    config: EmbedConfig,
) -> Step:
    """Learn from a batch and its frozen features in step `number`, from 0, of so many."""
    rate = learning_rate(number, steps, config.optimiser)
    for group in optimiser.param_groups:
        group["lr"] = rate
    vectors = read(branch, early, batch, config.precision)
    taught, apart = teacher_loss(vectors, batch.vectors), margin(vectors, batch.persons)
    loss = taught + config.margin.weight * apart
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(branch.parameters(), config.optimiser.clip).item()
    if not math.isfinite(norm):
        raise TrainingError(f"the gradient of step {number} is {norm}")
    optimiser.step()
    agreement = 1 - taught.item() if batch.vectors.any() else math.nan
    return Step(number + 1, loss.item(), agreement, apart.item(), norm, rate)


def echo(items: Callable[[int], Iterable[T]], times: int, seed: int, start: int = 0) -> Iterator[T]:
    """Yield each item `times` times on average: once at once, then again among the last `WAITING` of them.

    `items` gives them from any number on. What comes at a step is a function of the seed and the step alone,
    so that a run which goes on at step `start` has only the items that would wait there to make again.

    Choi et al., "Faster neural network training with data echoing" (2019), section 3: where making a batch
    takes longer than learning from it, learning from it again is almost as good as from a new one.
    """
    newest = start // times
    first = max(0, newest + 1 - WAITING)
    waiting: deque[T] = deque(maxlen=WAITING)
    for number, item in enumerate(items(first), first):
        waiting.append(item)
        for step in range(max(start, number * times), (number + 1) * times):
            rng = np.random.default_rng((seed, 2, step))
            again = int(rng.integers(len(waiting))) if step % times else -1
            yield waiting[again]


@torch.no_grad()
def see(network: S3FD, batch: Batch) -> Tensor:
    """The frozen features (B, C, S / 8, S / 8) of the pictures of a batch."""
    assert isinstance(network.backbone, Slim)
    pictures = normalise(batch.pictures).contiguous(memory_format=torch.channels_last)
    return network.backbone.bottom_up(pictures, FIRST_LAYER)[-1]


def read(branch: EmbeddingBranch, early: Tensor, batch: Batch, precision: str = "fp32") -> Tensor:
    """Vectors (B, D) of length 1 of the faces of a batch, read as `s3fd.identity.reading` does."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        cells = branch.on(batch.level, early).float()
    # grid_sample counts from -1 to 1 between the outer edges of the outer cells.
    size = torch.tensor([cells.shape[-1], cells.shape[-2]]) * STRIDES[branch.layers[batch.level]]
    places = (2 * batch.centres / size - 1)[:, None, None]
    vectors = F.grid_sample(cells, places, mode="bilinear", padding_mode="border", align_corners=False)
    return F.normalize(vectors[:, :, 0, 0], dim=1)
