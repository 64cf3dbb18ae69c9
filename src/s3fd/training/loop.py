"""The training program; `train` is its entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import torch
from torch.utils.data import DataLoader

from s3fd.data import labels as label_files
from s3fd.data import shards, voc, wider, yolo
from s3fd.data.labels import LabelledPicture
from s3fd.data.location import Location, below, is_there
from s3fd.data.sample import Dataset, Problem, Sample, digest
from s3fd.network import S3FD
from s3fd.network.decoder import decode
from s3fd.network.vgg16 import VGG16
from s3fd.training import checkpoint
from s3fd.training.augmentation import Augmentation
from s3fd.training.composer import Composer
from s3fd.training.composition import Composition
from s3fd.training.config import ConfigError, DataConfig, TrainConfig
from s3fd.training.dataset import Batch, Composing, StepSampler, TrainingStream, collate, normalise
from s3fd.training.metrics import Metrics
from s3fd.training.processes import ALONE, Processes, together
from s3fd.training.trainer import Trainer
from s3fd.weights.network_file import save_network

READERS: dict[str, Callable[[Location, Location], Dataset]] = {
    "wider": wider.read,
    "voc": voc.read,
    "yolo": yolo.read,
}


def read_data(sets: list[DataConfig], root: Location) -> tuple[list[Sample], list[Problem]]:
    """Read every data set below `root`; returns the samples, repeated as configured, and what was skipped.

    Raises:
        ConfigError: a file or folder does not exist.
        OSError: an annotation file or a shard cannot be read.
        ValueError: an annotation file or a shard cannot be parsed.
        UnreachableError: a URL cannot be reached.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    for config in sets:
        found = _read_set(config, root)
        samples += found.samples * config.repeat
        problems += found.problems
    return samples, problems


def _read_set(config: DataConfig, root: Location) -> Dataset:
    images = below(root, config.images)
    if config.annotations is None:
        return shards.read(images)
    annotations = below(root, config.annotations)
    for path in (images, annotations):
        if not is_there(path):
            raise ConfigError(f"data: {path} does not exist")
    return READERS[config.format](annotations, images)


def read_labelled(config: TrainConfig, root: Location) -> tuple[list[LabelledPicture], list[Problem]]:
    """Read the labelled faces of a run, if it has any; returns them and what was skipped.

    Raises:
        ConfigError: the labelled faces are not on the local disk.
        ValueError: a file cannot be parsed.
        OSError: a file or folder cannot be read.
    """
    if config.composed is None:
        return [], []
    table, images = below(root, config.composed.annotations), below(root, config.composed.images)
    if not (isinstance(table, Path) and isinstance(images, Path)):
        raise ConfigError("composed: labelled faces must be on the local disk; use absolute paths")
    targets = [attribute.parsed for attribute in config.attributes]
    found = label_files.read(table, images, targets)
    return found.pictures, found.problems


def train(
    config: TrainConfig,
    samples: list[Sample],
    folder: Path,
    *,
    labelled: Sequence[LabelledPicture] = (),
    device: str = "cpu",
    initial: Path | None = None,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
    on_left_out: Callable[[str], None] = lambda reason: None,
    processes: Processes = ALONE,
) -> S3FD:
    """Train to the end, from the checkpoint in `folder` if there is one, and return the averaged network.

    `folder` receives ``checkpoint.pt``, ``metrics.jsonl``, TensorBoard events and, at the end,
    ``weights.safetensors``. `labelled` are the faces that `config.composed` requires. `initial` is a file of
    weights to start from instead of random ones. `on_step` is called after every step with the number of
    completed steps and the figures of that step. `on_left_out` is called once for each picture that turns out
    to be unusable and is replaced by another.

    If there are several `processes`, all of them call this function and see the same `folder`. The first one
    writes the files and calls `on_step`; each calls `on_left_out` for the pictures that it tried to read.

    Raises:
        TrainingError: the loss or gradient is not finite, or the processes see different checkpoints.
        CheckpointError: the checkpoint in `folder` is damaged, or belongs to a run with another configuration
            or other data.
        ValueError: the batch cannot be split evenly between the processes; stages or statistics are to be
            frozen without weights to start from; too many pictures in a row cannot be read, or none can be
            composed.
        UnreachableError: a URL cannot be reached.
    """
    saved = folder / checkpoint.NAME
    for part in ("frozen_stages", "frozen_statistics"):
        if getattr(config.network, part) and initial is None and not saved.exists():
            raise ValueError(f"{part} needs weights to start from: random weights would stay random")
    loader = partial(batches, config, samples, labelled, processes=processes)
    loader(0)  # refuses a batch that cannot be split evenly, before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    with together(processes, device) as own:
        trainer = Trainer(config, own, processes)
        trainer.basis = _basis(config, samples, labelled)
        if saved.exists():
            trainer.restore(saved, initial)
        elif initial is not None:
            trainer.start_from(initial)
        trainer.agree()
        metrics = Metrics(folder, trainer.step) if processes.first else None
        try:
            stream = _reporting(loader(trainer.step), on_left_out)
            for parts in zip(*[stream] * config.accumulate, strict=True):
                figures = trainer.advance(*parts)
                if metrics is None:
                    continue
                metrics.scalars(trainer.step - 1, figures)
                on_step(trainer.step, figures)
                if trainer.step % config.pictures_every == 0:
                    show(trainer, parts[0], metrics)
                if trainer.step % config.checkpoint_every == 0 or trainer.step == config.steps:
                    trainer.save(saved)
        finally:
            if metrics is not None:
                metrics.close()
    network, backbone = trainer.average.module, config.network.backbone
    for layer in range(config.matching.first_layer):
        network.heads.silence(layer)
    if isinstance(network.backbone, VGG16):
        network.backbone.fold()
        backbone = "vgg16"
    if processes.first:
        save_network(network, backbone, folder / "weights.safetensors")
    return network


def _basis(
    config: TrainConfig, samples: Sequence[Sample], labelled: Sequence[LabelledPicture]
) -> dict[str, str]:
    """Return checksums of the data by what an error message calls other data."""
    columns = [attribute.parsed.column for attribute in config.attributes]
    labels = ",".join(label_files.digest(labelled, column) for column in columns)
    return {"other pictures or boxes": digest(samples), "other labels": labels}


def batches(
    config: TrainConfig,
    samples: list[Sample],
    labelled: Sequence[LabelledPicture],
    start: int,
    processes: Processes = ALONE,
) -> Iterable[Batch]:
    """Load this process's batches from step `start` on, `config.accumulate` per step.

    They are made in `config.workers` worker processes.

    Raises:
        ValueError: the batch cannot be split evenly; during iteration, nothing can be composed, or too many
            pictures in a row cannot be read.
        UnreachableError: during iteration, a URL cannot be reached.
    """
    augmentation = Augmentation(config.size, **config.augmentation.model_dump())
    composing = None
    if config.composed:
        policy = Composition(config.size, config.composed.face_sizes, config.augmentation.distort)
        columns = [attribute.parsed.column for attribute in config.attributes]
        composing = Composing(Composer(labelled, columns, policy), config.composed.share)
    stream = TrainingStream(samples, augmentation, config.matching, config.seed, config.cache, composing)
    share = StepSampler(
        start,
        config.steps,
        config.batch,
        parts=config.accumulate,
        rank=processes.rank,
        count=processes.count,
    )
    loader = DataLoader(
        stream,
        batch_sampler=share,
        num_workers=config.workers,
        collate_fn=collate,
        worker_init_fn=_single_thread,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if config.workers else None,
    )
    return _made(loader)


def _made(loader: Iterable[Batch | Exception]) -> Iterator[Batch]:
    """Yield a loader's batches, and raise exceptions returned by its worker processes."""
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield batch


def _reporting(made: Iterable[Batch], on_left_out: Callable[[str], None]) -> Iterator[Batch]:
    """Yield batches, and report each left-out picture once."""
    told: set[str] = set()
    for batch in made:
        for reason in batch.left_out:
            if reason not in told:
                told.add(reason)
                on_left_out(reason)
        yield batch


def _single_thread(worker: int) -> None:
    """Keep OpenCV from starting one thread per core in every worker process."""
    cv2.setNumThreads(0)


@torch.no_grad()
def show(trainer: Trainer, batch: Batch, metrics: Metrics) -> None:
    """Record the first pictures of a batch with the averaged network's boxes."""
    predictions = trainer.average.module(normalise(batch.pictures[:4].to(trainer.device)))
    scores, boxes = (x.cpu().numpy() for x in decode(predictions))
    metrics.pictures(trainer.step, batch, scores, boxes)
