"""``s3fd finetune``: teach a trained detector to tell a label, such as gender, in the same pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
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
    from s3fd.attributes.config import FinetuneConfig
    from s3fd.attributes.finetune import Step
    from s3fd.faces import Faces
    from s3fd.inference.pictures import PictureError

SHOWN_CLASSES = 20

app = application()


@app.command()
def finetune(
    index: Index,
    images: Images,
    target: Annotated[
        str,
        typer.Option(
            metavar="COLUMN[:A=name,B=name]",
            help="Label column. After the colon, its values and the class names to give them.",
        ),
    ],
    config: Annotated[
        str,
        typer.Option(
            help="Preset or YAML file. The presets are branch, adapt (continue an attribute that the weights "
            "have), joint, tower, recipe (the published exercise) and picture."
        ),
    ] = "branch",
    weights: Annotated[
        str, typer.Option(help="Detector to start from: slim, or weights (.safetensors) from `s3fd train`.")
    ] = "slim",
    name: Annotated[
        str | None, typer.Option(help="Name of the new attribute.", show_default="the column, in lower case")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column, such as a person's name, none of whose values is both trained on and held out."
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of unlabelled pictures on which a joint run also stays close to the --hold "
            "detector; may be repeated."
        ),
    ] = None,
    hold: Annotated[
        str | None,
        typer.Option(
            help="Detector that a joint run stays close to, such as slim.",
            show_default="that of --weights",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run. A run found there is resumed.",
            show_default="runs/ATTRIBUTE",
        ),
    ] = None,
) -> None:
    """Train a detector to predict a label of each face in the same pass, or resume a stopped run.

    During the run, its folder receives checkpoint.pt (from which the same command resumes), metrics.jsonl and
    TensorBoard events. At the end, it receives:

    - weights.safetensors: the detector with its new head

    - model.onnx: the same, for `s3fd detect --weights … --attributes …` and `s3fd classify`

    - report.json: what was held out, and the accuracy on it
    """
    with needs_extra("train"):
        from s3fd.attributes import run
        from s3fd.attributes.config import load_config
        from s3fd.training.trainer import TrainingError
    try:
        settings = load_config(config)
        _refuse_idle(settings, group, others, hold)
        labels = run.read_labels(index, images, target, group)
        report_skipped(labels.problems, "row")
        if labels.unsure:
            values = ", ".join(f"{count} {text!r}" for text, count in labels.unsure.items())
            typer.echo(
                f"treated as unlabelled: {values}; to use such a value as a class, declare it in --target",
                err=True,
            )
        (column,) = labels.targets
        if alike := _alike(column.names):
            typer.echo(
                f"classes that differ only in their capitals: {', '.join(map(repr, alike))}; "
                "if they are one class, write it in one way in the table",
                err=True,
            )
        called = name or column.column.lower()
        folder = out or Path("runs") / called
        held = run.detector_weights(hold) if hold else None
        classes = ", ".join(column.names[:SHOWN_CLASSES])
        if len(column.names) > SHOWN_CLASSES:
            classes += f" and {len(column.names) - SHOWN_CLASSES} more"
        typer.echo(
            f"{counted(len(labels.pictures), 'picture')}; {called}: {classes}; run in {folder}", err=True
        )
        with _Progress() as progress:
            report = run.run(
                labels,
                called,
                settings,
                run.detector_weights(weights),
                folder,
                group,
                progress,
                others or (),
                held,
                progress.pictures,
            )
    except (ValueError, OSError, TrainingError) as error:
        fail(str(error))
    typer.echo(report.text(), err=True)
    typer.echo(folder / "model.onnx")


def _alike(names: Sequence[str]) -> list[str]:
    """The names that equal another one but for capitals, next to each other."""
    shared = Counter(name.casefold() for name in names)
    alike = (name for name in names if shared[name.casefold()] > 1)
    return sorted(alike, key=lambda name: (name.casefold(), name))


def _refuse_idle(
    settings: FinetuneConfig, group: str | None, others: list[Path] | None, hold: str | None
) -> None:
    """End if an option would change nothing with these `settings`."""
    for option, given in (("--others", others), ("--hold", hold)):
        if given and settings.joint is None:
            fail(f"{option}: only applies to joint runs (--config joint); this run freezes the detector")
    if others and settings.joint is not None and not settings.joint.others:
        fail("--others: the configuration has joint.others: 0, so none of these pictures would be used")
    if group is not None and not settings.held_out:
        fail("--group: the configuration has held_out: 0, so nothing is held out and --group has no effect")


class _Progress(TrainingBar):
    """Shows the running mean of the loss; counts pictures without a face, and names unusable ones last."""

    def __init__(self) -> None:
        super().__init__("fine-tuning")
        self._loss = RunningMean(0.05)
        self._faceless = 0
        self._left_out: dict[str, None] = {}

    def __exit__(self, *about: object) -> None:
        """Leave the last state, and name the pictures that could not be used."""
        super().__exit__(*about)
        report_skipped(list(self._left_out), "picture")

    def __call__(self, step: Step, steps: int) -> None:
        if step.cells:
            self._loss.add(step.loss)
        self._faceless += step.without_face
        self._left_out |= dict.fromkeys(step.left_out)
        loss = "" if isnan(self._loss.value) else f"loss {self._loss.value:.3f}, "
        self.show(step.number, steps, f"{loss}no face found {counted(self._faceless, 'time')}")

    def pictures(self, found: Iterable[Faces | PictureError], count: int) -> Iterable[Faces | PictureError]:
        """Show how far the search for the faces is that labels of whole pictures speak of."""
        return self.around(found, count, "finding faces")
