"""Fine-tune an attribute head on a frozen detector, or jointly with it. Start reading at `finetune`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from s3fd.attributes.composed import ComposedStream
from s3fd.attributes.config import FinetuneConfig
from s3fd.attributes.learners import Frozen, Joint
from s3fd.attributes.single import SingleStream
from s3fd.attributes.stream import Batch, LabelledStream
from s3fd.data.labels import NOT_KNOWN, UNSURE, LabelledPicture
from s3fd.data.targets import Target
from s3fd.evaluation.attribute_report import check_classes
from s3fd.inference.threads import ahead
from s3fd.network import S3FD
from s3fd.network.attributes import Attribute, AttributeHead, copy_face_channel
from s3fd.network.branch import AttributeBranch
from s3fd.training.attribute_loss import attribute_loss
from s3fd.training.checkpoint import Part
from s3fd.training.composition import Composition
from s3fd.training.ema import WeightAverage, move
from s3fd.training.journal import Journal
from s3fd.training.schedule import learning_rate, make_optimiser
from s3fd.training.trainer import TrainingError, freeze_statistics


@dataclass(frozen=True)
class Step:
    """Metrics of one training step.

    Attributes:
        number: the step's number, from 1.
        loss: mean over the cells that counted, or over their pictures if the configuration is ``balanced``;
            NaN if no cell counted.
        cells: number of anchors that counted.
        accuracy: share of them whose most probable class is right; NaN if no cell counted.
        without_face: number of pictures without a cell that counted, such as those in which the detector
            found no face; they taught nothing.
        held: loss per picture that holds the detector to its teacher; 0 if the detector is frozen.
        gradient_norm: norm before clipping; NaN if nothing was learnt.
        learning_rate: learning rate of the head.
        left_out: which pictures could not be used, and why.
    """

    number: int
    loss: float
    cells: int
    accuracy: float
    without_face: int
    held: float
    gradient_norm: float
    learning_rate: float
    left_out: Sequence[str] = ()

    def figures(self, name: str) -> dict[str, float]:
        """Return the metrics to record for the attribute `name`."""
        return {
            f"loss/{name}": self.loss,
            "loss/held": self.held,
            f"right/{name}": self.accuracy,
            "cells": self.cells,
            "without_face": self.without_face,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.learning_rate,
        }


def split(
    items: Sequence[LabelledPicture], share: float, seed: int, group: str | None = None
) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """Split pictures into those to train on and a `share` to test on.

    `group` is a column such as a person's name. With it, a `share` of the column's values is held out, and no
    value is used for both training and testing: a picture that shows a held-out person is tested, and the
    labels of everyone else in it are dropped. Faces without a name count as a different person in every
    picture. If `share` is not 0 and there are at least two pictures or people, at least one is held out.
    """
    keys = [_keys(item, group) for item in items]
    names = sorted({key for of_picture in keys for key in of_picture})
    order = np.random.default_rng(seed).permutation(len(names))
    count = max(round(share * len(names)), 1 if share and len(names) > 1 else 0)
    test = {names[i] for i in order[:count]}
    learning, testing = [], []
    for item, of_picture in zip(items, keys, strict=True):
        held = np.array([key in test for key in of_picture])
        if held.any():
            labels = {column: np.where(held, known, NOT_KNOWN) for column, known in item.labels.items()}
            testing.append(replace(item, labels=labels))
        else:
            learning.append(item)
    return learning, testing


def _keys(item: LabelledPicture, group: str | None) -> list[tuple[bool, str]]:
    """Return the keys to split a picture by: the names in its column `group`, or else the picture's path.

    Paths sort before all names: their order, and with it the split, is the same in any folder.
    """
    names = item.extra[group] if group else [""]
    return [(False, str(item.path)) if name.lower() in UNSURE else (True, name) for name in names]


def add_head(network: S3FD, name: str, target: Target, config: FinetuneConfig) -> nn.Module:
    """Freeze `network` and add a trainable head for `target`, called `name`.

    Raises:
        ValueError: the layers or the kind of head do not fit the network, or there is no such head to keep.
    """
    torch.manual_seed(config.seed)
    network.requires_grad_(False)
    attribute = Attribute(name, target.names, config.head.kind, config.head.layers, config.head.depth)
    if config.head.initial == "kept":
        return _kept(network, attribute)
    donors = sorted(network.attribute_heads.items(), key=lambda named: named[0] != name)  # its own name first
    head = network.add(attribute)
    if config.head.initial == "copy":
        if isinstance(head, AttributeBranch):
            head.copy_features(donor for _, donor in donors)
        elif isinstance(head, AttributeHead) and config.head.kind == "layers":
            copy_face_channel(head, network.heads)
    return head


def _kept(network: S3FD, attribute: Attribute) -> nn.Module:
    """Return the existing head for `attribute`, made trainable and with its temperature reset to 1."""
    known = {own.name: own for own in network.attributes}.get(attribute.name)
    if known is None:
        raise ValueError(f"the weights have no head {attribute.name} to continue from")
    check_classes(attribute.name, known.classes, attribute.classes)
    if replace(known, temperature=1.0) != attribute:
        raise ValueError(f"the head {attribute.name} of the weights does not fit the configuration: {known}")
    network.calibrate(attribute.name, 1.0)
    return network.attribute_heads[attribute.name].requires_grad_(True)


def finetune(
    network: S3FD,
    name: str,
    target: Target,
    items: Sequence[LabelledPicture],
    config: FinetuneConfig,
    on_step: Callable[[Step, int], None] = lambda step, steps: None,
    others: Sequence[Path] = (),
    hold: S3FD | None = None,
    journal: Journal | None = None,
) -> S3FD:
    """Train a head for `target` on `items` and return `network` with it.

    `on_step` is called after every step, with the step and the total number of steps. In joint training, a
    loss holds the detector to its teacher, on `items` and on the unlabelled pictures below the folders
    `others`. The teacher is `hold`, or by default the detector as it was before training. If `journal`
    contains an interrupted run, training resumes from its checkpoint.

    Raises:
        ValueError: there is no picture, the configuration does not fit the network, `others` or `hold` is
            given for a frozen detector, or the journal does not fit.
        TrainingError: the gradient is not finite.
    """
    if not items:
        raise ValueError("there are no pictures to train on")
    head = add_head(network, name, target, config)
    kept = deepcopy(network.state_dict()) if config.head.kept_share else {}
    learner: Frozen | Joint = Frozen(network, name, config)
    if config.joint is not None:
        learner = Joint(network, name, config, others, hold)
    elif others or hold is not None:
        raise ValueError("only joint runs are held to a detector; this run freezes it")
    optimisers = [(make_optimiser(part, config.optimiser), share) for part, share in learner.parts()]
    stream = _stream(items, target.column, config)
    steps = max(config.least_steps, math.ceil(len(items) * config.epochs / config.batch))
    average = WeightAverage(network, config.ema) if config.ema else None
    start = journal.begin(_changing(learner, optimisers, average)) if journal is not None else 0
    network.eval()
    head.train()
    if config.frozen_statistics:
        freeze_statistics(head)
    for number, batch in enumerate(ahead(stream.batches(start, steps, config.batch)), start):
        step = _advance(learner, batch, number, steps, optimisers, config)
        if average is not None and step.cells:
            average.update(network, number)
        if journal is not None:
            journal.add(step.figures(name), last=step.number == steps)
        on_step(step, steps)
    if average is not None:
        network.load_state_dict(average.module.state_dict())
    if kept:
        move(network.state_dict(), kept, config.head.kept_share)
    return network.requires_grad_(False).eval()


def _changing(
    learner: Frozen | Joint, optimisers: Sequence[tuple[Optimizer, float]], average: WeightAverage | None
) -> dict[str, Part]:
    """Collect everything that a step changes, for the checkpoint."""
    parts: dict[str, Part] = {f"learning {i}": part for i, (part, _) in enumerate(learner.parts())}
    parts |= {f"optimiser {i}": optimiser for i, (optimiser, _) in enumerate(optimisers)}
    return parts if average is None else {**parts, "average": average.module}


def _advance(
    learner: Frozen | Joint,
    batch: Batch,
    number: int,
    steps: int,
    optimisers: Sequence[tuple[Optimizer, float]],
    config: FinetuneConfig,
) -> Step:
    """Learn from the batch of step `number`, counted from 0, out of `steps`."""
    rate = learning_rate(number, steps, config.optimiser)
    if not len(batch.pictures):
        return Step(number + 1, math.nan, 0, math.nan, 0, 0.0, math.nan, rate, batch.left_out)
    logits, targets, held = learner.compare(batch, number)
    loss = attribute_loss(logits, targets, config.loss, config.balanced)
    counted = targets != NOT_KNOWN
    cells, showing = int(counted.sum()), int(counted.any(dim=1).sum())
    norm = _learn(loss + held, optimisers, rate, config) if cells else math.nan
    if cells and not math.isfinite(norm):
        raise TrainingError(
            f"the gradient of step {number} is {norm}; its pictures:\n  " + "\n  ".join(batch.names)
        )
    right = (logits[counted].argmax(dim=-1) == targets[counted]).sum().item()
    return Step(
        number + 1,
        loss.item() / (showing if config.balanced else cells) if cells else math.nan,
        cells,
        right / cells if cells else math.nan,
        len(counted) - showing,
        held.item() / len(batch.pictures),
        norm,
        rate,
        batch.left_out,
    )


def _learn(
    loss: Tensor, optimisers: Sequence[tuple[Optimizer, float]], rate: float, config: FinetuneConfig
) -> float:
    """Take one step with every optimiser, each at its share of `rate`, and return the gradient norm.

    If the norm is not finite, the weights do not change.
    """
    for optimiser, share in optimisers:
        optimiser.zero_grad(set_to_none=True)
        for group in optimiser.param_groups:
            group["lr"] = rate * share
    loss.backward()  # type: ignore[no-untyped-call]
    every = [p for optimiser, _ in optimisers for group in optimiser.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(every, config.optimiser.clip).item()
    if math.isfinite(norm):
        for optimiser, _ in optimisers:
            optimiser.step()
    return norm


def _stream(
    items: Sequence[LabelledPicture], column: str, config: FinetuneConfig
) -> LabelledStream | ComposedStream | SingleStream:
    """Return the stream that `config` selects: whole pictures, composed pictures, or one face per picture."""
    if config.single:
        return SingleStream(
            items, column, config.seed, tilt=config.tilt, flip=config.flip, distort=config.distort
        )
    if config.compose:
        policy = Composition(
            config.size,
            config.face_sizes,
            config.distort,
            tilt=config.tilt,
            hide=config.hide,
            flip=config.flip,
        )
        return ComposedStream(items, column, policy, config.seed)
    return LabelledStream(items, column, config.size, config.seed, flip=config.flip, distort=config.distort)
