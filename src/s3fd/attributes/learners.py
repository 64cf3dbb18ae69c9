"""The parts that learn when an attribute is trained: the head alone, or also stages of the detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s3fd.anchors import map_sizes
from s3fd.attributes.config import FinetuneConfig
from s3fd.attributes.stream import Batch
from s3fd.attributes.unlabelled import UnlabelledStream
from s3fd.network import S3FD
from s3fd.network.branch import FIRST_LAYER, AttributeBranch
from s3fd.network.heads import face_scores
from s3fd.network.slim import Slim
from s3fd.training.attribute_loss import where_faces
from s3fd.training.dataset import normalise
from s3fd.training.distillation import Distillation
from s3fd.training.precision import mixed


class Compared(NamedTuple):
    """The network's outputs and targets from which a step's loss is computed.

    Attributes:
        logits: (B, A, classes) logits of the attribute.
        targets: (B, A) int64, the class that each anchor should predict; -1 for anchors that do not count.
        held: loss that holds the detector to its teacher; 0 if the detector is frozen.
    """

    logits: Tensor
    targets: Tensor
    held: Tensor


class Frozen:
    """Trains the head alone; the detector is frozen."""

    def __init__(self, network: S3FD, name: str, config: FinetuneConfig) -> None:
        """Train the head `name` of `network`."""
        self._network = network
        self._name = name
        self._head = network.attribute_heads[name]
        self._config = config

    def parts(self) -> list[tuple[nn.Module, float]]:
        """Return the modules that learn, each with its share of the learning rate."""
        return [(self._head, 1.0)]

    def compare(self, batch: Batch, step: int) -> Compared:
        """Run the network on a batch; anchors below `min_face_score` do not count."""
        with mixed(batch.pictures.device, self._config.precision):
            logits, scores = self._look(normalise(batch.pictures))
        targets = batch.targets
        if scores is not None:
            targets = where_faces(targets, scores, self._config.min_face_score)
        return Compared(logits, targets, torch.zeros(()))

    def _look(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the attribute's logits, and face scores (B, A) if needed: they take half of the time."""
        backbone = self._network.backbone
        if not self._config.min_face_score and isinstance(self._head, AttributeBranch):
            assert isinstance(backbone, Slim)
            with torch.no_grad():
                stages = backbone.bottom_up(pictures, FIRST_LAYER + 1)  # a branch reads no others
            logits = self._head(stages)._replace(map_sizes=map_sizes(*pictures.shape[-2:]))
            return logits.spread(), None
        predictions = self._network(pictures, attributes=(self._name,), embedding=False)
        return predictions.attributes[self._name].spread(), face_scores(predictions.logits.float())


class Joint:
    """Trains a branch and the detector's coarser stages together, and holds the detector to its teacher.

    The detector's batch-normalisation statistics stay fixed, so that it behaves the same in training and at
    inference.
    """

    def __init__(
        self,
        network: S3FD,
        name: str,
        config: FinetuneConfig,
        others: Sequence[Path] = (),
        hold: S3FD | None = None,
    ) -> None:
        """Train the branch `name` of `network` jointly with the detector's coarser stages.

        The detector is held to its teacher on the training pictures and on those below the folders `others`.
        The teacher is `hold`, or by default the network as it is now.

        Raises:
            ValueError: the head is not a branch, `min_face_score` is not 0 (joint training computes no face
                scores), a folder has no pictures, or the first stages of `hold` differ from the network's.
        """
        head, joint = network.attribute_heads[name], config.joint
        assert joint is not None
        if not isinstance(head, AttributeBranch) or not isinstance(network.backbone, Slim):
            raise ValueError("joint training needs a head of kind branch and the backbone slim")
        if config.min_face_score:
            raise ValueError("joint training needs min_face_score: 0, as it computes no face scores")
        self._backbone = network.backbone
        self._head = head
        self._config = config
        self._joint = joint
        teacher = _teacher(network.backbone, hold, joint.first_stage)
        self._distance = Distillation(network.backbone, teacher, joint.first_stage)
        self._others = UnlabelledStream(others, config.seed)
        self._distance.learning().requires_grad_(True)

    def parts(self) -> list[tuple[nn.Module, float]]:
        """Return the modules that learn, each with its share of the learning rate."""
        return [(self._head, 1.0), (self._distance.learning(), self._joint.rate)]

    def compare(self, batch: Batch, step: int) -> Compared:
        """Run the network on a batch and on unlabelled pictures."""
        size = batch.pictures.shape[-1]  # of single faces, another one at each step
        pictures = torch.cat([batch.pictures, self._others.draw(step, self._joint.others, size)])
        with mixed(batch.pictures.device, self._config.precision):
            stages = self._backbone.bottom_up(normalise(pictures))
            logits = self._head(stages).spread()[: len(batch.pictures)]
            held = self._distance(stages) * self._joint.weight * len(batch.pictures)
        return Compared(logits, batch.targets, held)


def _teacher(backbone: Slim, hold: S3FD | None, first: int) -> Slim | None:
    """Return the backbone of `hold`; raise ValueError if its stages before `first` are not `backbone`'s."""
    if hold is None:
        return None
    if not isinstance(hold.backbone, Slim) or not _same_start(backbone, hold.backbone, first):
        raise ValueError("the detector to hold to must have the same first stages as the network")
    return hold.backbone


def _same_start(a: Slim, b: Slim, first: int) -> bool:
    """Whether two backbones have the same stem and the same stages before stage `first`."""
    pairs = [(a.stem, b.stem), *zip(list(a.stages)[:first], list(b.stages)[:first], strict=True)]
    return all(
        torch.equal(one, other)
        for left, right in pairs
        for one, other in zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    )
