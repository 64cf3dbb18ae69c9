"""Train an embedding on top of a frozen detector. Start reading at `train`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from s3fd.embedding.config import EmbedConfig
from s3fd.embedding.faces import Face
from s3fd.embedding.loss import MarginLoss, likeness_loss, teacher_loss
from s3fd.embedding.stream import STRIDE, Batch, FaceStream
from s3fd.inference.threads import ahead
from s3fd.network import S3FD
from s3fd.network.embedding import EmbeddingTrunk
from s3fd.training.checkpoint import Part
from s3fd.training.dataset import normalise
from s3fd.training.journal import Journal
from s3fd.training.precision import mixed
from s3fd.training.schedule import learning_rate, make_optimiser
from s3fd.training.trainer import TrainingError


@dataclass(frozen=True)
class Step:
    """Metrics of one training step.

    Attributes:
        number: the step's number, from 1.
        loss: total loss, with weights applied.
        agreement: mean cosine with the teacher's vectors; NaN if it has none for the batch.
        likeness: loss on similarities to other faces, before weighting.
        margin: loss on the faces whose person is known, before weighting.
        gradient_norm: norm of the trunk's gradient before clipping.
        learning_rate: learning rate of the step.
    """

    number: int
    loss: float
    agreement: float
    likeness: float
    margin: float
    gradient_norm: float
    learning_rate: float

    def figures(self) -> dict[str, float]:
        """Return the metrics to record."""
        return {
            "loss/total": self.loss,
            "loss/likeness": self.likeness,
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
    """Add an embedding to `network` and train it on `faces`; `people` is the number of known people.

    The detector is frozen, so its detections do not change. `on_step` is called after every step, with the
    step and the total number of steps. If `journal` contains an interrupted run, training resumes from its
    checkpoint.

    Raises:
        ValueError: there is no face, the backbone lacks the stages that an embedding starts from, the
            teacher's vectors have another dimension, or the journal does not fit.
        TrainingError: the gradient is not finite.
    """
    if not faces:
        raise ValueError("there are no faces to train on")
    torch.manual_seed(config.seed)
    network.requires_grad_(False)
    network.eval()
    trunk = network.embed(config.trunk.embedding)
    trunk.requires_grad_(True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = Task(faces, people, config)
    optimiser = make_optimiser(nn.ModuleList([trunk, task.margin]), config.optimiser)
    stream = FaceStream(faces, config.trunk.dimension, config.batch, config.seed)
    steps = max(1, math.ceil(len(faces) * config.epochs / config.batch))
    parts: dict[str, Part] = {"trunk": trunk, "margin": task.margin, "optimiser": optimiser}
    start = journal.begin(parts) if journal is not None else 0
    trunk.train()
    for number, batch in enumerate(ahead(stream.batches(start, steps)), start):
        rate = learning_rate(number, steps, config.optimiser)
        step = task.advance(trunk, batch, number, rate, optimiser)
        if journal is not None:
            journal.add(step.figures(), last=step.number == steps)
        on_step(step, steps)
    trunk.eval()
    return network


class Task:
    """The training objective: the teacher's vectors, similarities to other faces, and identities."""

    def __init__(self, faces: Sequence[Face], people: int, config: EmbedConfig) -> None:
        """Prepare to learn from `faces` of `people` known people."""
        taught = [face.vector for face in faces if face.vector is not None]
        self.others = torch.from_numpy(np.stack(taught)) if taught else torch.zeros(0, config.trunk.dimension)
        margin = config.margin
        self.margin = MarginLoss(
            max(people, 1), config.trunk.dimension, margin.kind, margin.margin, margin.scale
        )
        self._config = config

    def advance(
        self, trunk: EmbeddingTrunk, batch: Batch, number: int, rate: float, optimiser: Optimizer
    ) -> Step:
        """Learn from the batch of step `number`, counted from 0.

        Raises:
            TrainingError: the gradient is not finite.
        """
        config = self._config
        for group in optimiser.param_groups:
            group["lr"] = rate
        vectors = read(trunk, batch, config.precision)
        taught, apart = teacher_loss(vectors, batch.vectors), self.margin(vectors, batch.persons)
        alike = likeness_loss(vectors, batch.vectors, self.others, config.likeness.temperature)
        loss = taught + config.likeness.weight * alike + config.margin.weight * apart
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trunk.parameters(), config.optimiser.clip).item()
        if not math.isfinite(norm):
            raise TrainingError(f"the gradient of step {number} is {norm}")
        optimiser.step()
        agreement = 1 - taught.item() if batch.vectors.any() else math.nan
        return Step(number + 1, loss.item(), agreement, alike.item(), apart.item(), norm, rate)


def read(trunk: EmbeddingTrunk, batch: Batch, precision: str = "fp32") -> Tensor:
    """Return vectors (B, D) of length 1 of a batch's faces, read as in `s3fd.identity.reading`."""
    pictures = normalise(batch.pictures).contiguous(memory_format=torch.channels_last)
    with mixed(batch.pictures.device, precision):
        cells = trunk.finest(pictures).float()
    # grid_sample's coordinates run from -1 to 1 between the outer edges of the outermost cells.
    size = torch.tensor([cells.shape[-1], cells.shape[-2]]) * STRIDE
    places = (2 * batch.centres / size - 1)[:, None, None]
    vectors = F.grid_sample(cells, places, mode="bilinear", padding_mode="border", align_corners=False)
    return F.normalize(vectors[:, :, 0, 0], dim=1)
