"""The arguments that name a table of labels, of every command that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Index = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        help="Table with a row a picture (Image_Name, and a column of labels) or a row a face "
        "(also x1, y1, x2, y2 in pixels).",
    ),
]

Images = Annotated[Path, typer.Option(help="Folder that the names in CSV are relative to.")]
