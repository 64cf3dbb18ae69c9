"""The training program: read it from `train` down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s3fd.data import labels as label_files
from s3fd.data import voc, wider, yolo
from s3fd.data.labels import NOT_KNOWN, LabelledPicture
from s3fd.data.sample import Dataset, Problem, Sample
from s3fd.network import S3FD, build
from s3fd.network.decoder import decode
from s3fd.network.heads import Predictions
from s3fd.network.vgg16 import VGG16
from s3fd.training import checkpoint
from s3fd.training.alignment import Candidates, align
from s3fd.training.attribute_loss import attribute_loss
from s3fd.training.augmentation import Augmentation
from s3fd.training.composer import Composer
from s3fd.training.composition import Composition
from s3fd.training.config import ConfigError, DataConfig, TrainConfig
from s3fd.training.dataset import Batch, Composing, StepSampler, TrainingStream, collate, normalise
from s3fd.training.ema import WeightAverage
from s3fd.training.losses import Losses, detection_loss
from s3fd.training.metrics import Metrics
from s3fd.training.schedule import learning_rate, make_optimiser
from s3fd.weights.network_file import WeightsError, load_network, save_network

READERS: dict[str, Callable[[Path, Path], Dataset]] = {
    "wider": wider.read,
    "voc": voc.read,
    "yolo": yolo.read,
}


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says where and why."""


def read_data(sets: list[DataConfig], root: Path) -> tuple[list[Sample], list[Problem]]:
    """Read every set below `root`; returns the samples, repeated as configured, and what was skipped.

    Raises:
        ConfigError: a file or folder that does not exist.
        ValueError: an annotation file that cannot be understood.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    for config in sets:
        images, annotations = root / config.images, root / config.annotations
        for path in (images, annotations):
            if not path.exists():
                raise ConfigError(f"data: {path} does not exist")
        found = READERS[config.format](annotations, images)
        samples += found.samples * config.repeat
        problems += found.problems
    return samples, problems


def read_labelled(config: TrainConfig, root: Path) -> tuple[list[LabelledPicture], list[Problem]]:
    """Read the labelled faces of a run, if it has any, and what was skipped.

    Raises:
        ValueError: a file that cannot be understood.
        OSError: a file or folder that cannot be read.
    """
    if config.composed is None:
        return [], []
    targets = [attribute.parsed for attribute in config.attributes]
    found = label_files.read(root / config.composed.annotations, root / config.composed.images, targets)
    return found.pictures, found.problems


class Trainer:
    """The state of a run: network, weight average, optimiser and step."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        """Build everything at step 0 from the seed."""
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device
        attributes = [a.attribute for a in config.attributes]
        network = build(config.network.backbone, config.network.backgrounds, attributes)
        self.network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, config.ema)
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.step = 0

    def advance(self, batch: Batch) -> dict[str, float]:
        """Take one optimisation step; returns the figures to record.

        Raises:
            TrainingError: loss or gradient are not finite; the message lists the batch's files.
        """
        rate = learning_rate(self.step, self.config.steps, self.config.optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        predictions = self._predict(batch)
        losses = self._losses(predictions, batch)
        loss, figures = self._attribute_losses(predictions, batch)
        loss = loss + losses.total
        total = loss.item()
        if not math.isfinite(total):
            raise self._not_finite("loss", total, batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimiser.clip)
        if self.config.precision != "fp16" and not torch.isfinite(norm):  # fp16's scaler skips such a step
            raise self._not_finite("gradient", norm.item(), batch)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.update(self.network, self.step)
        self.step += 1
        return {
            "loss/total": total,
            "loss/classification": losses.classification.item(),
            "loss/box": losses.box.item(),
            "gradient_norm": norm.item(),
            "learning_rate": rate,
            **figures,
        }

    def _not_finite(self, what: str, value: float, batch: Batch) -> TrainingError:
        names = "\n  ".join(dict.fromkeys(batch.names))
        return TrainingError(f"the {what} of step {self.step} is {value}; its pictures:\n  {names}")

    def _predict(self, batch: Batch) -> Predictions:
        pictures = normalise(batch.pictures.to(self.device, non_blocking=True))
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[self.config.precision]
        with torch.autocast(self.device.type, dtype, enabled=self.config.precision != "fp32"):
            predictions: Predictions = self.network(pictures)
        return predictions

    def _losses(self, predictions: Predictions, batch: Batch) -> Losses:
        """The loss of finding faces."""
        labels = batch.labels.to(self.device, non_blocking=True)
        options = self.config.loss.model_dump()
        if self.config.matching.method == "aligned":
            candidates = Candidates(*(x.to(self.device, non_blocking=True) for x in batch.candidates))
            aligned = align(predictions, candidates, labels, self.config.matching.anchors_per_face)
            return detection_loss(
                predictions, aligned.labels, aligned.deltas, scores=aligned.scores, **options
            )
        deltas = batch.deltas.to(self.device, non_blocking=True)
        return detection_loss(predictions, labels, deltas, **options)

    def _attribute_losses(self, predictions: Predictions, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the attributes' losses, and the figures to record of each."""
        total = torch.zeros((), device=self.device)
        figures: dict[str, float] = {}
        for number, attribute in enumerate(self.config.attributes):
            targets = batch.attributes[:, number].to(self.device, non_blocking=True)
            known = targets != NOT_KNOWN
            if not known.any():
                continue
            logits = predictions.attributes[attribute.name].spread()
            loss = attribute_loss(logits, targets, "cross_entropy", balanced=True)
            loss = loss / known.any(dim=1).sum()
            right = (logits[known].argmax(dim=-1) == targets[known]).float().mean()
            figures |= {f"loss/{attribute.name}": loss.item(), f"right/{attribute.name}": right.item()}
            total = total + attribute.weight * loss
        return total, figures

    def save(self, path: Path) -> None:
        """Write a checkpoint, see `s3fd.training.checkpoint.save`."""
        state = {
            "step": self.step,
            "config": self.config.model_dump_json(),
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        checkpoint.save(path, state)

    def start_from(self, path: Path) -> None:
        """Take the weights of a trained network of the same kind.

        Of attributes those that both have are taken; the others of this network stay as they are.

        Raises:
            WeightsError: the file cannot be read or is of another network.
        """
        weights, own = load_network(path).state_dict(), self.network.state_dict()
        for name in [name for name in weights.keys() | own.keys() if name.startswith("attribute_heads.")]:
            if name not in own:
                del weights[name]
            elif name not in weights:
                weights[name] = own[name]
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit the configured network: {error}") from error
        self.average.module.load_state_dict(weights)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            CheckpointError: the file is damaged, or belongs to a run with another configuration.
        """
        state = checkpoint.load(path)
        if state["config"] != self.config.model_dump_json():
            raise checkpoint.CheckpointError(f"{path} was made with another configuration")
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.step = state["step"]


def train(
    config: TrainConfig,
    samples: list[Sample],
    folder: Path,
    *,
    labelled: Sequence[LabelledPicture] = (),
    device: str = "cpu",
    initial: Path | None = None,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
) -> S3FD:
    """Train to the end, from the checkpoint in `folder` if there is one, and return the averaged network.

    `folder` receives ``checkpoint.pt``, ``metrics.jsonl``, TensorBoard events and, at the end,
    ``weights.safetensors``. `labelled` are the faces that `config.composed` asks for. `initial` names weights
    to start from instead of random ones; `on_step` is called after every step with the number of steps done
    and their figures.

    Raises:
        TrainingError: the loss is not finite.
        CheckpointError: the checkpoint in `folder` cannot be continued.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, torch.device(device))
    saved = folder / "checkpoint.pt"
    if saved.exists():
        trainer.restore(saved)
    elif initial is not None:
        trainer.start_from(initial)
    metrics = Metrics(folder, trainer.step)
    try:
        for batch in batches(config, samples, labelled, trainer.step):
            figures = trainer.advance(batch)
            metrics.scalars(trainer.step - 1, figures)
            on_step(trainer.step, figures)
            if trainer.step % config.pictures_every == 0:
                show(trainer, batch, metrics)
            if trainer.step % config.checkpoint_every == 0 or trainer.step == config.steps:
                trainer.save(saved)
    finally:
        metrics.close()
    network, backbone = trainer.average.module, config.network.backbone
    for layer in range(config.matching.first_layer):
        network.heads.silence(layer)
    if isinstance(network.backbone, VGG16):
        network.backbone.fold()
        backbone = "vgg16"
    save_network(network, backbone, folder / "weights.safetensors")
    return network


def batches(
    config: TrainConfig, samples: list[Sample], labelled: Sequence[LabelledPicture], start: int
) -> Iterable[Batch]:
    """Yield the batches of step `start` and on, made in `config.workers` processes."""
    augmentation = Augmentation(config.size, **config.augmentation.model_dump())
    composing = None
    if config.composed:
        policy = Composition(config.size, config.composed.face_sizes, config.augmentation.distort)
        columns = [attribute.parsed.column for attribute in config.attributes]
        composing = Composing(Composer(labelled, columns, policy), config.composed.share)
    stream = TrainingStream(samples, augmentation, config.matching, config.seed, config.cache, composing)
    return DataLoader(
        stream,
        batch_sampler=StepSampler(start, config.steps, config.batch),
        num_workers=config.workers,
        collate_fn=collate,
        worker_init_fn=_single_thread,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if config.workers else None,
    )


def _single_thread(worker: int) -> None:
    """Keep OpenCV from starting a thread a core in every worker process."""
    cv2.setNumThreads(0)


@torch.no_grad()
def show(trainer: Trainer, batch: Batch, metrics: Metrics) -> None:
    """Record the first pictures of a batch with the averaged network's boxes."""
    predictions = trainer.average.module(normalise(batch.pictures[:4].to(trainer.device)))
    scores, boxes = (x.cpu().numpy() for x in decode(predictions))
    metrics.pictures(trainer.step, batch, scores, boxes)
