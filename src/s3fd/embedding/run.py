"""A complete run: reads labelled faces and a detector, writes weights, a model and a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from s3fd.attributes.finetune import split
from s3fd.counted import counted
from s3fd.data import labels as label_files
from s3fd.data.labels import Labels
from s3fd.embedding.config import EmbedConfig
from s3fd.embedding.faces import Face, Teacher, cut_out
from s3fd.embedding.stream import FaceStream
from s3fd.embedding.train import Step, read, train
from s3fd.network import S3FD
from s3fd.training.journal import open_journal
from s3fd.weights.digest import sha256
from s3fd.weights.network_file import load_network
from s3fd.weights.run_result import write_result

Around = Callable[[Iterable[list[Face]], int], Iterable[list[Face]]]
"""Wraps an iterable of each picture's faces, given the number of pictures, to show progress."""


@dataclass(frozen=True)
class Report:
    """Results of a run.

    Attributes:
        faces: number of training faces.
        people: number of known people among them; the other faces are of unknown people.
        taught: number of training faces with a teacher's vector.
        held_out: number of faces held out for testing.
        agreement: mean cosine between the vectors of held-out faces and the teacher's; None if the teacher
            has none of them.
        recognised: share of these faces whose vector is nearer to the teacher's vector of the same face than
            to that of any other; None if the teacher has none of them.
        seconds: training time in seconds.
        backbone_sha256: SHA-256 of the weights that the run started from.
        left_out: for each picture that cannot be read, or in which no box lies, a message that says so.
    """

    faces: int
    people: int
    taught: int
    held_out: int
    agreement: float | None
    recognised: float | None
    seconds: float
    backbone_sha256: str
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report as a few lines of text."""
        lines = [
            f"trained on {counted(self.faces, 'face')} in {self.seconds:.0f} s: "
            f"{counted(self.people, 'known person', 'known people')}, "
            f"{counted(self.taught, 'face')} with a teacher's vector"
        ]
        if self.left_out:
            count = counted(len(self.left_out), "picture")
            lines.append(f"{count} left out: unreadable, or no box inside the picture")
        if self.agreement is not None:
            lines.append(
                f"held out: {counted(self.held_out, 'face')}; mean cosine with the teacher "
                f"{self.agreement:.3f}, nearest to the teacher's vector of the same face "
                f"{self.recognised:.1%}"
            )
        return "\n".join(lines)


def read_faces(csv: Path, images: Path, target: str) -> Labels:
    """Read the table of faces; `target` is the column of people's names, empty for unknown people.

    Raises:
        ValueError: see `s3fd.data.labels.read`.
        OSError: a file cannot be read.
    """
    return label_files.read(csv, images, [target])


def run(
    labels: Labels,
    teacher: Teacher | None,
    config: EmbedConfig,
    weights: Path,
    folder: Path,
    on_step: Callable[[Step, int], None] = lambda step, steps: None,
    on_pictures: Around = lambda items, count: items,
) -> Report:
    """Train an embedding for the detector of `weights` and test it on held-out faces.

    The run writes ``weights.safetensors``, ``model.onnx`` and ``report.json`` to `folder`. During training it
    also writes ``metrics.jsonl`` and a checkpoint, from which an interrupted run resumes. `on_pictures` wraps
    the cutting out of faces, to show progress, and `on_step` is called after every step.

    Raises:
        ValueError: the weights, labels, teacher or configuration do not fit, or the folder belongs to another
            run.
        OSError: a file cannot be read or written.
        TrainingError: the gradient is not finite.
    """
    (target,) = labels.targets
    if teacher is not None and teacher.dimension != config.trunk.dimension:
        raise ValueError(
            f"the teacher's vectors have {teacher.dimension} dimensions, but trunk.dimension is "
            f"{config.trunk.dimension}"
        )
    network, origin = load_network(weights), sha256(weights)
    learning, testing = split(labels.pictures, config.held_out, config.seed)
    basis = {
        "other labels": label_files.digest(learning, target.column),
        "another detector": origin,
        "another teacher": teacher.sha256 if teacher is not None else "",
    }
    with open_journal(folder, config, config.checkpoint_every, basis) as journal:
        left_out: list[str] = []
        crop = partial(cut_out, column=target.column, teacher=teacher, on_left_out=left_out.append)
        faces, held_out = (
            [face for faces in on_pictures(crop(items), len(items)) for face in faces]
            for items in (learning, testing)
        )
        if teacher is not None and not any(face.vector is not None for face in faces):
            raise ValueError(
                "the teacher has no vector for any of the faces: its pictures must be below the same folder, "
                "and its boxes must be those of the table"
            )
        train(network, faces, len(target.names), config, on_step, journal)
        seconds = journal.seconds
    agreement, recognised = test(network, [face for face in held_out if face.vector is not None])
    report = Report(
        faces=len(faces),
        people=len({face.person for face in faces if face.person >= 0}),
        taught=sum(face.vector is not None for face in faces),
        held_out=len(held_out),
        agreement=agreement,
        recognised=recognised,
        seconds=seconds,
        backbone_sha256=origin,
        left_out=tuple(left_out),
    )
    write_result(network, weights, folder, report)
    return report


@torch.no_grad()
def test(network: S3FD, faces: Sequence[Face], batch: int = 64) -> tuple[float, float] | tuple[None, None]:
    """Compare the network's vectors of `faces` with the teacher's, which all of them must have.

    The faces are shown as in training, at random sizes and positions.

    Returns:
        The mean cosine between the two vectors of a face, and the share of faces whose vector is nearest to
        the teacher's vector of the same face. Both are None if there are no faces.
    """
    trunk = network.embedding_trunk
    assert trunk is not None
    if not faces:
        return None, None
    vectors, taught = [], []
    for first in range(0, len(faces), batch):
        part = faces[first : first + batch]
        (seen,) = FaceStream(part, trunk.project.out_channels, len(part), seed=first).batches(0, 1)
        vectors.append(read(trunk, seen))
        taught.append(seen.vectors)
    cosines = torch.cat(vectors) @ torch.cat(taught).T
    nearest = cosines.argmax(dim=1) == torch.arange(len(faces))
    return round(float(cosines.diag().mean()), 4), round(float(nearest.float().mean()), 4)
