"""The arguments that name a table of labels, of every command that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Index = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        help="Table with one row per picture (Image_Name and a label column) or per face "
        "(also x1, y1, x2, y2 in pixels).",
    ),
]

Images = Annotated[Path, typer.Option(help="Folder that the picture names in CSV are relative to.")]
