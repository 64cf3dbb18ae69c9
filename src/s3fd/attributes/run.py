"""A complete fine-tuning run: reads labels and a detector, writes weights, a model and a report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from s3fd.attributes.config import FinetuneConfig
from s3fd.attributes.finetune import Step, add_head, finetune, split
from s3fd.attributes.location import Around, locate
from s3fd.attributes.unlabelled import pictures_below
from s3fd.counted import counted
from s3fd.data import labels as label_files
from s3fd.data.labels import NOT_KNOWN, SHOWN_TEXTS, UNSURE, LabelledPicture, Labels
from s3fd.data.targets import Target, parse_target
from s3fd.evaluation.attribute_faces import Found, observe
from s3fd.evaluation.attributes import Observations, Summary, fit_temperature, summarise
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import BUNDLED
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import S3FD
from s3fd.training.journal import open_journal
from s3fd.weights.digest import sha256
from s3fd.weights.network_file import load_network
from s3fd.weights.run_result import write_result

ENOUGH_TO_CALIBRATE = 50
"""Minimum number of held-out faces to fit a temperature; fewer would make probabilities worse."""


UNCALIBRATED = f"probabilities are not calibrated, which needs at least {ENOUGH_TO_CALIBRATE} held-out faces"
"""What a report says if there are fewer."""


@dataclass(frozen=True)
class Report:
    """Results of a run.

    Attributes:
        attribute: name of the attribute.
        classes: classes that the head predicts.
        trained: number of training pictures.
        held_out: number of test pictures.
        not_found: labelled faces in the test pictures that the detector did not find, including those in
            unreadable pictures; no other figure counts them.
        unread: why each unreadable test picture could not be read.
        not_located: why each training picture was left out whose face had to be located and was not.
        without_face: how often a training picture had no cell that counted, such as when the detector found
            no face in it.
        summary: summary of the faces found in the test pictures; None if there were none. If the
            probabilities are calibrated, it is calibrated on these same faces.
        seconds: training time in seconds.
        backbone_sha256: SHA-256 of the weights that the run started from.
        groups: who or what was held out: values of the column to split by; None if pictures were split.
        untested: classes that none of the faces found in the test pictures has.
        before: summary of what the weights that the run started from already predicted for the same faces;
            None if they have no attribute of this name and these classes.
    """

    attribute: str
    classes: tuple[str, ...]
    trained: int
    held_out: int
    not_found: int
    unread: tuple[str, ...]
    not_located: tuple[str, ...]
    without_face: int
    summary: Summary | None
    seconds: float
    backbone_sha256: str
    groups: tuple[str, ...] | None = None
    untested: tuple[str, ...] = ()
    before: Summary | None = None

    def text(self) -> str:
        """Return the report as a few lines of text."""
        lines = [f"trained on {counted(self.trained, 'picture')} in {self.seconds:.0f} s"]
        if self.without_face:
            lines.append(f"no usable face in a training picture {counted(self.without_face, 'time')}")
        if self.not_located:
            lines.append(
                f"{counted(len(self.not_located), 'picture')} left out: unreadable, or no face found"
            )
        lines += [f"held out, but unreadable: {why}" for why in self.unread]
        if self.summary is None:
            nothing = (
                f"{counted(self.held_out, 'picture')}, no labelled face found in any of them"
                if self.held_out
                else "none"
            )
            return "\n".join([*lines, f"held out: {nothing}; {UNCALIBRATED}"])
        low, high = self.summary.accuracy_interval
        of = f" of {_few(self.groups, ' and ')}" if self.groups else ""
        lines.append(
            f"held out: {counted(self.held_out, 'picture')}{of}; "
            f"{counted(self.not_found, 'labelled face')} in them not found; "
            f"accuracy on the other {self.summary.count}: {self.summary.accuracy:.1%} "
            f"(95 % interval {low:.1%}–{high:.1%}; balanced accuracy {self.summary.balanced_accuracy:.1%})"
        )
        if self.before is not None:
            lines.append(
                f"before this run, the weights had {self.before.accuracy:.1%} "
                f"(balanced accuracy {self.before.balanced_accuracy:.1%})"
            )
        if self.untested:
            lines.append(
                f"none of these faces is labelled {_few(self.untested, ' or ')}, "
                "so the accuracy says nothing about that: hold out more (held_out in --config)"
            )
        if self.summary.count < ENOUGH_TO_CALIBRATE:
            lines.append(UNCALIBRATED)
        return "\n".join(lines)


def read_labels(csv: Path, images: Path, target: str, group: str | None) -> Labels:
    """Read the labels of one target; if `group` is given, check that the table has that column.

    Raises:
        ValueError: see `s3fd.data.labels.read`; or there is no column `group`.
        OSError: a file cannot be read.
    """
    labels = label_files.read(csv, images, [parse_target(target)])
    (column,) = labels.targets
    known = [p for p in labels.pictures if (p.labels[column.column] >= 0).any()]
    label_files.check_groups(csv, labels, () if group is None else (group,))
    return replace(labels, pictures=known)


def detector_weights(weights: str) -> Path:
    """Return the file of a detector, given the name of bundled weights or any path."""
    bundled = BUNDLED / f"{weights}.safetensors"
    return bundled if bundled.is_file() else Path(weights)


def run(
    labels: Labels,
    name: str,
    config: FinetuneConfig,
    weights: Path,
    folder: Path,
    group: str | None = None,
    on_step: Callable[[Step, int], None] = lambda step, steps: None,
    others: Sequence[Path] = (),
    hold: Path | None = None,
    on_pictures: Around = lambda found, count: found,
) -> Report:
    """Train a head called `name` for the only target of `labels`; calibrate and test it on held-out pictures.

    If training pictures are composed or show single faces, the detector first locates the faces of pictures
    that are labelled as a whole (`s3fd.attributes.location`); `on_pictures` wraps that search, to show
    progress. `others` are folders of unlabelled pictures, and `hold` is the teacher of a jointly trained
    detector; see `s3fd.attributes.finetune.finetune`.

    The run writes ``weights.safetensors``, ``model.onnx`` and ``report.json`` to `folder`. During training it
    also writes ``metrics.jsonl`` and a checkpoint, from which an interrupted run resumes.

    Raises:
        ValueError: the weights, labels or configuration do not fit, the folder belongs to another run, or no
            picture taught anything.
        OSError: a file cannot be read or written.
        TrainingError: the gradient is not finite.
    """
    (target,) = labels.targets
    network, origin = load_network(weights), sha256(weights)
    held = load_network(hold) if hold else None
    learning, testing = split(labels.pictures, config.held_out, config.seed, group)
    _need_every_class(learning, testing, target)
    basis = {
        "other labels": label_files.digest(learning, target.column),
        "another attribute": json.dumps([name, target.names]),
        "another detector": origin,
        "another detector to be held to": sha256(hold) if hold else "",
        "other pictures to be held on": _names(others),
    }
    not_located: list[str] = []
    start = deepcopy(network)
    add_head(deepcopy(network), name, target, config)  # refuses what does not fit before the search for faces
    with open_journal(folder, config, config.checkpoint_every, basis) as journal:
        if (config.compose or config.single) and any(item.boxes is None for item in learning):
            learning, not_located = locate(learning, Detector(TorchRuntime(network)), on_pictures)
        finetune(network, name, target, learning, config, on_step, others, held, journal)
        seconds = journal.seconds
    if not journal.sums["cells"]:
        raise ValueError(
            f"nothing was learnt: in all {len(learning)} training pictures, the detector found no labelled "
            f"face, or the picture cannot be read; fix this and remove {folder}"
        )
    found = _test(network, name, target, testing)
    observations = found.observations
    if len(observations) >= ENOUGH_TO_CALIBRATE:
        observations = observations.tempered(calibrate(network, name, observations))
    report = Report(
        attribute=name,
        classes=target.names,
        trained=len(learning),
        held_out=len(testing),
        not_found=found.missed,
        unread=tuple(why for _, why in found.unread),
        not_located=tuple(not_located),
        without_face=int(journal.sums["without_face"]),
        summary=summarise(observations) if len(observations) else None,
        seconds=seconds,
        backbone_sha256=origin,
        groups=_tested(testing, target, group) if group else None,
        untested=tuple(np.delete(target.names, observations.labels).tolist()),
        before=_before(start, name, target, testing),
    )
    write_result(network, weights, folder, report)
    return report


def _test(network: S3FD, name: str, target: Target, testing: Sequence[LabelledPicture]) -> Found:
    """Predict the attribute `name` of the labelled faces in `testing`."""
    return observe(Detector(TorchRuntime(network), attributes=(name,)), name, testing, target.column)


def _before(start: S3FD, name: str, target: Target, testing: Sequence[LabelledPicture]) -> Summary | None:
    """Summarise what a network predicts before it is trained, if it has this attribute and finds a face."""
    if (name, target.names) not in {(own.name, own.classes) for own in start.attributes}:
        return None
    observations = _test(start, name, target, testing).observations
    return summarise(observations) if len(observations) else None


def calibrate(network: S3FD, name: str, observations: Observations) -> float:
    """Fit the temperature of the attribute `name` to `observations` of held-out faces, and return it.

    Raises:
        ValueError: there are fewer than `ENOUGH_TO_CALIBRATE` faces.
    """
    if len(observations) < ENOUGH_TO_CALIBRATE:
        raise ValueError(
            f"{len(observations)} labelled faces were found; calibration needs {ENOUGH_TO_CALIBRATE}"
        )
    (before,) = (a.temperature for a in network.attributes if a.name == name)
    temperature = before * fit_temperature(observations.logits(), observations.labels)
    network.calibrate(name, temperature)
    return temperature


def _names(folders: Sequence[Path]) -> str:
    """Return the SHA-256 of the names of the pictures below `folders`."""
    names = [[path.name for path in found] for found in pictures_below(folders)]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _need_every_class(
    learning: Sequence[LabelledPicture], testing: Sequence[LabelledPicture], target: Target
) -> None:
    """Raise ValueError unless every class has a training picture."""
    learnt, tested = (
        {int(label) for item in items for label in item.labels[target.column]}
        for items in (learning, testing)
    )
    missing = [i for i in range(len(target.names)) if i not in learnt]
    if missing:
        names = _few([target.names[i] for i in missing], " or ")
        held = "; some are only in held-out pictures: add pictures, or change held_out or seed in --config"
        raise ValueError(
            f"{target.column}: no training picture has the label {names}"
            + (held if tested.intersection(missing) else "")
        )


def _tested(testing: Sequence[LabelledPicture], target: Target, group: str) -> tuple[str, ...]:
    """Return the values of the column `group` of the labelled faces in test pictures, sorted."""
    known = [np.array(item.extra[group])[item.labels[target.column] != NOT_KNOWN] for item in testing]
    return tuple(sorted({name for names in known for name in names.tolist() if name.lower() not in UNSURE}))


def _few(names: Sequence[str], between: str) -> str:
    """List the first `SHOWN_TEXTS` of `names`, and how many there are besides."""
    more = [f"{len(names) - SHOWN_TEXTS} others"] if len(names) > SHOWN_TEXTS else []
    return between.join([*names[:SHOWN_TEXTS], *more])
