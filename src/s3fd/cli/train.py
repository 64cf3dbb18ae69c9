"""``s3fd train``: a configuration and pictures in, weights out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.skipped import report_skipped
from s3fd.cli.training_bar import RunningMean, TrainingBar
from s3fd.counted import counted

app = application()


@app.command()
def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="YAML file that describes the run, such as configs/slim.yaml."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Folder that the paths in CONFIG are relative to, or a URL such as s3://BUCKET/SETS."
        ),
    ] = ".",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run. A run found there is resumed.",
            show_default="runs/NAME for NAME.yaml",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device to train on: auto, cpu, cuda or cuda:N.")] = "auto",
    initial: Annotated[
        Path | None,
        typer.Option("--from", help="Weights (.safetensors) to start from instead of random ones."),
    ] = None,
) -> None:
    """Train a detector from scratch, or resume a stopped run.

    During the run, its folder receives checkpoint.pt (from which the same command resumes), metrics.jsonl and
    TensorBoard events. At the end, it receives weights.safetensors.

    To train on several GPUs or machines, run `torchrun --nproc-per-node 8 -m s3fd train CONFIG`. The batch
    size in CONFIG is the total over all processes.
    """
    with needs_extra("train"):
        from s3fd.data.location import UnreachableError, locate
        from s3fd.training import loop
        from s3fd.training.config import load_config
        from s3fd.training.processes import launched
        from s3fd.training.trainer import TrainingError
    device = _device(device)
    folder = out or Path("runs") / config.stem
    processes = launched()
    try:
        settings = load_config(config)
        root = locate(data)
        samples, problems = loop.read_data(settings.data, root)
        labelled, unlabelled = loop.read_labelled(settings, root)
        if processes.first:
            report_skipped([*problems, *unlabelled], "annotation")
            faces = sum(int((~sample.ignored).sum()) for sample in samples)
            among = f" in {processes.count} processes" if processes.count > 1 else ""
            typer.echo(
                f"{counted(len(samples), 'picture')}, {counted(faces, 'face')}; "
                f"{counted(settings.steps, 'step')} on {device}{among}; "
                f"run in {folder}",
                err=True,
            )
        with _Progress(settings.steps) if processes.first else nullcontext(_nothing) as progress:
            loop.train(
                settings,
                samples,
                folder,
                labelled=labelled,
                device=device,
                initial=initial,
                on_step=progress,
                on_left_out=lambda reason: typer.echo(f"left out: {reason}", err=True),
                processes=processes,
            )
    except (ValueError, OSError, UnreachableError, TrainingError) as error:
        fail(str(error))
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        fail(
            f"{str(error).strip(' .')}. If memory ran out, use fewer `workers` or no `cache` in {config}, "
            "and repeat the command: the run resumes."
        )
    if processes.first:
        typer.echo(folder / "weights.safetensors")


def _device(name: str) -> str:
    """Resolve ``auto``, and end unless PyTorch can compute on the device."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError):  # PyTorch raises either for a device that it was not built for
        fail(f"--device {name}: unknown device; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        fail(f"--device {name}: PyTorch cannot find this CUDA device")
    return name


def _nothing(step: int, figures: dict[str, float]) -> None:
    """Show nothing: the first process does."""


class _Progress(TrainingBar):
    """Shows the running mean of the loss."""

    def __init__(self, steps: int) -> None:
        super().__init__("training")
        self._steps = steps
        self._loss = RunningMean(0.02)

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        self._loss.add(figures["loss/total"])
        self.show(step, self._steps, f"loss {self._loss.value:.3f}")
