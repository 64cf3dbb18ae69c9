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
from s3fd.training.dataset import normalise
from s3fd.training.schedule import learning_rate, make_optimiser

T = TypeVar("T")

WAITING = 64
"""Batches, as the frozen features of their pictures, that wait for another step: 2 MB each."""


@dataclass(frozen=True)
class Step:
    """What one step saw: its number from 1, the whole loss, and the mean cosine with the teacher."""

    number: int
    loss: float
    agreement: float


def train(
    network: S3FD,
    faces: Sequence[Face],
    people: int,
    config: EmbedConfig,
    on_step: Callable[[Step, int], None] = lambda step, steps: None,
) -> S3FD:
    """Give `network` an embedding and train it on `faces` of so many `people`; `on_step` hears of every step.

    The detector is frozen, and finds what it found.

    Raises:
        ValueError: no face; a backbone without a place for a branch; a teacher of another dimension.
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
    branch.train()
    batches = ahead(stream.batches(0, math.ceil(steps / config.echo)))
    seen = ((batch, see(network, batch)) for batch in batches)
    for number, (batch, early) in enumerate(islice(echo(seen, config.echo, config.seed), steps)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(number, steps, config.optimiser)
        vectors = read(branch, early, batch, config.precision)
        taught = teacher_loss(vectors, batch.vectors)
        loss = taught + config.margin.weight * margin(vectors, batch.persons)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(branch.parameters(), config.optimiser.clip)
        optimiser.step()
        on_step(Step(number + 1, loss.item(), 1 - taught.item()), steps)
    branch.eval()
    return network


def echo(items: Iterable[T], times: int, seed: int) -> Iterator[T]:
    """Yield each item `times` times on average: once at once, then again among the last `WAITING` of them.

    Choi et al., "Faster neural network training with data echoing" (2019), section 3: where making a batch
    takes longer than learning from it, learning from it again is almost as good as from a new one.
    """
    rng = np.random.default_rng(seed)
    waiting: deque[T] = deque(maxlen=WAITING)
    for item in items:
        waiting.append(item)
        yield item
        for _ in range(times - 1):
            yield waiting[rng.integers(len(waiting))]


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
