"""The command line: ``s3fd COMMAND``. Every command is a module of its own, imported when it is called."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import s3fd
from s3fd.cli.application import application

COMMANDS = {
    "detect": ("s3fd.cli.detect", "Detect faces in pictures, folders, videos or a camera."),
    "track": ("s3fd.cli.track", "Track faces through a video or a camera."),
    "anonymize": ("s3fd.cli.anonymize", "Make faces unrecognisable in copies of pictures and videos."),
    "eval": ("s3fd.cli.evaluate", "Evaluate a detector on labelled faces."),
    "classify": ("s3fd.cli.classify", "Classify pictures by their faces, for example as female or male."),
    "serve": ("s3fd.cli.serve", "Serve face detection over HTTP, with a web page."),
    "gallery": ("s3fd.cli.gallery", "Enrol people, and identify or verify their faces."),
    "train": ("s3fd.cli.train", "Train a detector."),
    "finetune": ("s3fd.cli.finetune", "Train a detector to predict a label, such as gender."),
    "embed": ("s3fd.cli.embed", "Train a detector to tell people apart."),
    "weights": ("s3fd.cli.weights", "List, import and calibrate weights."),
    "export": ("s3fd.cli.export", "Export a detector to ONNX or OpenVINO."),
}
"""Each command's module, which holds a Typer `app`, and its line in the list of commands."""


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and line, and imports the one that is called."""

    def __init__(self, **options: Any) -> None:
        """Hold a stand-in for each command, which has its line for the list; `options` are Typer's."""
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Prepare the streams and the end of the process, and run the command; the arguments are Typer's.

        As it ends, Python searches everything that was imported for cycles to free, several times. That is a
        tenth of the processor time of ``s3fd detect one.jpg``, for memory that the system frees anyway.
        """
        _prepare_streams()
        atexit.register(gc.freeze)  # takes all objects out of that search
        try:
            return super().main(*arguments, **options)
        except OSError as error:  # which no command expects: standard output is on a full disk
            typer.echo(f"s3fd: {error}", err=True)
            sys.exit(1)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the stand-in by the command itself when it is called."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name in COMMANDS:
            command = typer.main.get_command(import_module(COMMANDS[name][0]).app)
            command.name = name
        return name, command, rest


def _prepare_streams() -> None:
    """Replace streams that are closed, and let standard output escape what its encoding lacks.

    Standard error does so by itself. Python uses another encoding than UTF-8 in some locales, and a file name
    need not be valid text.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever started this had closed it
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


app = application(cls=LazyGroup, no_args_is_help=True)


def _version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"s3fd {s3fd.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """S³FD finds faces of every size in one pass."""
