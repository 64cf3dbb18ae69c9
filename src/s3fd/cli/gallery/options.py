"""Options that several commands on galleries have, and how these end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from s3fd.cli.failure import fail

Gallery = Annotated[
    str, typer.Argument(metavar="GALLERY", help="Gallery: a file, or the postgresql://… URL of a database.")
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--recogniser",
        metavar="FILE",
        help="Embedding model (.onnx), with its card (.json) next to it.",
        show_default="the embedding of the weights",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Detector: bundled model or model file, as in `s3fd detect`.",
        show_default="slim-identity, which has an embedding; slim with --recogniser",
    ),
]
MinSize = Annotated[
    float, typer.Option(min=0, metavar="PIXELS", help="Minimum length of a face's shorter side.")
]
MinSharpness = Annotated[
    float, typer.Option(min=0, help="Minimum sharpness of a face (variance of the Laplacian).")
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Minimum face score, from 0 to 1 (certain).")]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=-1, max=1, help="Minimum score (cosine) of a match.", show_default="from s3fd gallery calibrate"
    ),
]


@contextmanager
def failures() -> Iterator[None]:
    """End with one line for what a user can put right."""
    try:
        yield
    except (ImportError, OSError, ValueError, sqlite3.Error) as error:
        fail(str(error))
