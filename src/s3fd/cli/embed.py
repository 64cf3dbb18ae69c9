"""``s3fd embed``: teach a trained detector to tell people apart, in the same pass."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.labels import Images, Index
from s3fd.cli.skipped import report_skipped
from s3fd.cli.training_bar import RunningMean, TrainingBar
from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.embedding.faces import Face
    from s3fd.embedding.train import Step

app = application()


@app.command()
def embed(
    index: Index,
    images: Images,
    target: Annotated[str, typer.Option(metavar="COLUMN", help="Column with people's names.")] = "Person",
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Vectors of a recogniser to learn from (see tools/teacher_vectors.py)."
        ),
    ] = None,
    config: Annotated[
        str, typer.Option(help="Preset or YAML file. The presets are people and teacher (needs --teacher).")
    ] = "people",
    weights: Annotated[
        str, typer.Option(help="Detector to start from: slim, or weights (.safetensors) from `s3fd train`.")
    ] = "slim",
    out: Annotated[Path, typer.Option(help="Folder of the run. A run found there is resumed.")] = Path(
        "runs/embedding"
    ),
) -> None:
    """Train a detector to tell people apart, or resume a stopped run.

    The detector gets an embedding: faces of the same person get vectors that point the same way. CSV has one
    row per face. Faces without a name are used if the teacher has a vector for them.

    During the run, its folder receives checkpoint.pt (from which the same command resumes), metrics.jsonl and
    TensorBoard events. At the end, it receives:

    - weights.safetensors: the detector with its embedding

    - model.onnx: the same, for `s3fd gallery … --weights …` and `s3fd eval verification`

    - report.json
    """
    with needs_extra("train"):
        from s3fd.attributes.run import detector_weights
        from s3fd.embedding import run
        from s3fd.embedding.config import load_config
        from s3fd.embedding.faces import read_teacher
        from s3fd.training.trainer import TrainingError
    try:
        settings = load_config(config)
        if teacher is None and (settings.needs_teacher or not settings.margin.weight):
            fail(f"--config {config} learns from a teacher: pass its vectors with --teacher")
        labels = run.read_faces(index, images, target)
        report_skipped(labels.problems, "row")
        taught = None if teacher is None else read_teacher(teacher, images)
        (people,) = labels.targets
        pictures = counted(len(labels.pictures), "picture")
        named = counted(len(people.names), "person", "people")
        typer.echo(f"{pictures}, {named}; run in {out}", err=True)
        with TrainingBar("training") as bar:
            figures = _Figures(bar)
            report = run.run(
                labels, taught, settings, detector_weights(weights), out, figures.step, figures.pictures
            )
    except (ValueError, OSError, TrainingError) as error:
        fail(str(error))
    report_skipped(report.left_out, "picture")
    typer.echo(report.text(), err=True)
    typer.echo(out / "model.onnx")


class _Figures:
    """Shows how far the faces and the steps are, with running means of the loss and the likeness."""

    def __init__(self, bar: TrainingBar) -> None:
        self._bar = bar
        self._loss = RunningMean(0.02)
        self._agreement = RunningMean(0.02)

    def pictures(self, faces: Iterable[list[Face]], count: int) -> Iterable[list[Face]]:
        """Show how far the cutting out of faces is."""
        return self._bar.around(faces, count, "cropping faces")

    def step(self, step: Step, steps: int) -> None:
        """Show how far the training is."""
        self._loss.add(step.loss)
        figures = f"loss {self._loss.value:.4f}"
        if not isnan(step.agreement):
            self._agreement.add(step.agreement)
        if not isnan(self._agreement.value):
            figures += f", cosine with the teacher {self._agreement.value:.4f}"
        self._bar.show(step.number, steps, figures)
