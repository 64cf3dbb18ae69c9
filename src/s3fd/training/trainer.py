"""The state of a training run and its optimisation step, in one process or several."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from s3fd.data.labels import NOT_KNOWN
from s3fd.network import build
from s3fd.network.heads import Predictions
from s3fd.network.slim import SeparableBlock, Slim
from s3fd.training import checkpoint
from s3fd.training.alignment import Candidates, align
from s3fd.training.attribute_loss import attribute_loss
from s3fd.training.config import TrainConfig
from s3fd.training.dataset import Batch, normalise
from s3fd.training.ema import WeightAverage
from s3fd.training.losses import Losses, detection_loss
from s3fd.training.precision import mixed
from s3fd.training.processes import ALONE, Processes
from s3fd.training.schedule import learning_rate, make_optimiser
from s3fd.training.synchronised_norm import synchronise
from s3fd.weights.digest import sha256
from s3fd.weights.network_file import WeightsError, load_network, misfit

BRANCHES = ("attribute_heads.", "embedding_trunk.")
"""Prefixes of the names of tensors that do not belong to the detector: attribute heads and embedding."""


class TrainingError(RuntimeError):
    """A run that cannot continue; the message says where and why."""


class Totals(NamedTuple):
    """Counts by which the losses of a batch are divided, summed over all processes and parts.

    Attributes:
        faces: (), number of face anchors; None if it depends on the network's predictions.
        pictures: (K,), number of pictures with a label for each of K attributes.
        anchors: (K,), number of anchors with a label for each of them.
    """

    faces: Tensor | None
    pictures: Tensor
    anchors: Tensor


def freeze_statistics(network: nn.Module) -> None:
    """Make batch normalisation use its stored statistics, as in inference; scale and shift stay trainable."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


class Trainer:
    """The state of a run: network, weight average, optimiser and step.

    Attributes:
        origin: SHA-256 of the weights file that the run started from, empty if it started from random
            weights; None if the checkpoint is from an earlier version that did not record it.
        basis: checksums of what the pictures are made from, as in `s3fd.training.journal.open_journal`.
    """

    def __init__(self, config: TrainConfig, device: torch.device, processes: Processes = ALONE) -> None:
        """Build everything at step 0 from the seed, identically in each of `processes`."""
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device
        self.processes = processes
        attributes = [a.attribute for a in config.attributes]
        network = build(config.network.backbone, config.network.backgrounds, attributes)
        self.network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        if config.network.frozen_stages:
            assert isinstance(self.network.backbone, Slim)
            self.network.backbone.freeze_stages()
        if config.network.frozen_statistics:
            freeze_statistics(self.network)
        for part in self.network.modules():
            if isinstance(part, SeparableBlock):
                part.drop = config.network.drop
        self.average = WeightAverage(self.network, config.ema)
        self.parallel: DistributedDataParallel | None = None
        if processes.count > 1:
            synchronise(self.network, device)
            self.parallel = DistributedDataParallel(self.network)
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.step = 0
        self.origin: str | None = ""
        self.basis: dict[str, str] = {}

    def advance(self, *parts: Batch) -> dict[str, float]:
        """Take one optimisation step with the sum of the gradients of all parts and processes.

        Every process calls this with its own share of the batch. Returns the figures of the whole batch.

        Raises:
            TrainingError: the loss or gradient is not finite; the message lists the batch's files.
        """
        if self.config.network.drop:  # seeded for each step, so that a resumed run skips the same blocks
            entropy = (self.config.seed, self.step, self.processes.rank)
            torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        rate = learning_rate(self.step, self.config.steps, self.config.optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        totals = self._totals(parts)
        figures: dict[str, float] = {}
        for number, batch in enumerate(parts, start=1):
            for name, value in self._learn(batch, totals, number == len(parts)).items():
                figures[name] = figures.get(name, 0.0) + value
        if self.parallel is not None:  # the optimiser skips parameters without gradient: heads without labels
            for attribute, known in zip(self.config.attributes, totals.pictures.tolist(), strict=True):
                if not known:
                    self.network.attribute_heads[attribute.name].zero_grad(set_to_none=True)
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimiser.clip)
        if self.config.precision != "fp16" and not torch.isfinite(norm):  # fp16's scaler skips such a step
            raise self._not_finite("gradient", norm.item(), parts)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.update(self.network, self.step)
        self.step += 1
        own = {name: figures.pop(name) for name in ("loss/total", "loss/classification", "loss/box")}
        return {**own, "gradient_norm": norm.item(), "learning_rate": rate, **figures}

    def _learn(self, batch: Batch, totals: Totals, last: bool) -> dict[str, float]:
        """Add the gradients of a part, and exchange them after the `last` one; returns the part's figures.

        Raises:
            TrainingError: the loss is not finite.
        """
        held = self.parallel.no_sync() if self.parallel is not None and not last else nullcontext()
        with held:
            predictions = self._predict(batch)
            losses = self._losses(predictions, batch, totals)
            loss, figures = self._attribute_losses(predictions, batch, totals)
            loss = loss + losses.total
            figures |= {
                "loss/total": loss.detach(),
                "loss/classification": losses.classification.detach(),
                "loss/box": losses.box.detach(),
            }
            values = self.processes.sum(torch.stack(list(figures.values()))).tolist()
            told = dict(zip(figures, values, strict=True))
            if not math.isfinite(told["loss/total"]):
                raise self._not_finite("loss", told["loss/total"], [batch])
            # DistributedDataParallel averages the gradients of the processes, but their sum is needed.
            self.scaler.scale(loss * self.processes.count).backward()  # type: ignore[no-untyped-call]
        return told

    def _not_finite(self, what: str, value: float, parts: list[Batch] | tuple[Batch, ...]) -> TrainingError:
        """Build the error for a value that is not finite; each process names the files of its own parts."""
        names = "\n  ".join(dict.fromkeys(name for batch in parts for name in batch.names))
        return TrainingError(f"the {what} of step {self.step} is {value}; its pictures:\n  {names}")

    def _predict(self, batch: Batch) -> Predictions:
        """Run the network on a part."""
        pictures = normalise(batch.pictures.to(self.device, non_blocking=True))
        network = self.network if self.parallel is None else self.parallel
        with mixed(self.device, self.config.precision):
            predictions: Predictions = network(pictures)
        return predictions

    def _totals(self, parts: tuple[Batch, ...]) -> Totals:
        """Count, over all parts and processes, what losses are divided by.

        If anchors are assigned during training, the number of face anchors depends on the predictions. With
        several parts, it is known too late for the first one, and the number that faces can get at most is
        used instead.
        """
        aligned = self.config.matching.method == "aligned"
        if aligned:
            asked = self.config.matching.anchors_per_face
            faces = sum((p.candidates.anchors >= 0).sum(dim=1).clamp(max=asked).sum() for p in parts)
        else:
            faces = sum((p.labels == 1).sum() for p in parts)
        known = [part.attributes != NOT_KNOWN for part in parts]  # (B, K, A)
        pictures = sum(k.any(dim=2).sum(dim=0) for k in known)
        anchors = sum(k.sum(dim=(0, 2)) for k in known)
        counts = torch.cat([torch.as_tensor(x).reshape(-1) for x in (faces, pictures, anchors)])
        counts = self.processes.sum(counts.to(self.device))
        each = len(self.config.attributes)
        decided = None if aligned and len(parts) == 1 else counts[0]
        return Totals(decided, counts[1 : 1 + each], counts[1 + each :])

    def _losses(self, predictions: Predictions, batch: Batch, totals: Totals) -> Losses:
        """Compute the detection loss."""
        labels = batch.labels.to(self.device, non_blocking=True)
        options = self.config.loss.model_dump()
        if self.config.matching.method == "aligned":
            candidates = Candidates(*(x.to(self.device, non_blocking=True) for x in batch.candidates))
            aligned = align(predictions, candidates, labels, self.config.matching.anchors_per_face)
            faces = self.processes.sum((aligned.labels == 1).sum()) if totals.faces is None else totals.faces
            return detection_loss(
                predictions, aligned.labels, aligned.deltas, scores=aligned.scores, faces=faces, **options
            )
        deltas = batch.deltas.to(self.device, non_blocking=True)
        return detection_loss(predictions, labels, deltas, faces=totals.faces, **options)

    def _attribute_losses(
        self, predictions: Predictions, batch: Batch, totals: Totals
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the attributes' losses, and the figures to record for each."""
        total = torch.zeros((), device=self.device)
        figures: dict[str, Tensor] = {}
        for number, attribute in enumerate(self.config.attributes):
            pictures, anchors = totals.pictures[number], totals.anchors[number]
            if not pictures and self.parallel is None:
                continue
            targets = batch.attributes[:, number].to(self.device, non_blocking=True)
            known = targets != NOT_KNOWN
            logits = predictions.attributes[attribute.name].spread()
            # Without labels here, the loss and its gradient are 0: other processes wait for a gradient.
            loss = attribute_loss(logits, targets, "cross_entropy", balanced=True) / pictures.clamp(min=1)
            total = total + attribute.weight * loss
            if pictures:
                right = (logits[known].argmax(dim=-1) == targets[known]).float().sum() / anchors
                figures |= {f"loss/{attribute.name}": loss.detach(), f"right/{attribute.name}": right}
        return total, figures

    def save(self, path: Path) -> None:
        """Write a checkpoint, see `s3fd.training.checkpoint.save_run`."""
        more = {"origin": self.origin, "basis": self.basis}
        checkpoint.save_run(path, self.step, self.config, self._parts(), more)

    def _parts(self) -> dict[str, checkpoint.Part]:
        """Return the parts of the state that a step changes."""
        return {
            "network": self.network,
            "average": self.average.module,
            "optimiser": self.optimiser,
            "scaler": self.scaler,
        }

    def start_from(self, path: Path) -> None:
        """Load the weights of a trained network of the same kind.

        Attribute heads are loaded if both networks have them; this network's other heads stay as they are.
        An embedding is not loaded, since this network has none.

        Raises:
            WeightsError: the file cannot be read, or has another network or other classes.
        """
        given = load_network(path)
        there = {attribute.name: attribute.classes for attribute in given.attributes}
        for attribute in self.network.attributes:
            classes = there.get(attribute.name, attribute.classes)
            if classes != attribute.classes:
                raise WeightsError(
                    f"{path}: its classes of {attribute.name} are {', '.join(classes)}, but the "
                    f"configuration has {', '.join(attribute.classes)}"
                )
        weights, own = given.state_dict(), self.network.state_dict()
        for name in [name for name in weights.keys() | own.keys() if name.startswith(BRANCHES)]:
            if name not in own:
                del weights[name]
            elif name not in weights:
                weights[name] = own[name]
        if why := misfit(own, weights):
            raise WeightsError(f"{path} does not match the configured network: {why}")
        self.network.load_state_dict(weights)
        self.average.module.load_state_dict(weights)
        self.origin = sha256(path)

    def restore(self, path: Path, initial: Path | None = None) -> None:
        """Resume from the checkpoint of a run with any number of processes.

        Raises:
            CheckpointError: the file is damaged, or belongs to a run with another configuration or `basis`,
                or to one that did not start from `initial`, if that is given.
            OSError: `initial` cannot be read.
        """
        state = checkpoint.load_run(path, self.config)
        for what, value in state.get("basis", {}).items():  # earlier versions recorded none
            if self.basis.get(what, value) != value:
                raise checkpoint.of_another_run(path, what)
        given = None if initial is None else sha256(initial)
        self.origin = state.get("origin", given)
        if None not in (given, self.origin) and given != self.origin:
            raise checkpoint.of_another_run(path, "other initial weights")
        checkpoint.restore(path, state, self._parts())
        self.step = state["step"]

    def agree(self) -> None:
        """Check that all processes are at the same step.

        Raises:
            TrainingError: they are not, because they do not see the same folder.
        """
        mean = self.processes.sum(torch.tensor(float(self.step), device=self.device)) / self.processes.count
        apart = self.processes.sum((mean != self.step).float())
        if apart:
            raise TrainingError(
                f"process {self.processes.rank} would resume at step {self.step}, others at a different "
                "step: all machines must share the folder of the run"
            )
