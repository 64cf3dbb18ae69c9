"""``s3fd export``: trained weights as a model that needs no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s3fd.cli.failure import fail, needs_extra

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Write trained weights as a model for a runtime.",
)


@app.callback()
def main() -> None:
    """Write trained weights as a model for a runtime."""


@app.command()
def onnx(
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="Weights from `s3fd train` or `s3fd weights import`.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="WEIGHTS with .onnx", dir_okay=False)
    ] = None,
) -> None:
    """Write an ONNX model for any batch, height and width.

    Pre-processing and box decoding are in the graph; threshold and suppression are not.
    """
    with needs_extra("train"):
        from s3fd.weights.network_file import WeightsError, load_network
        from s3fd.weights.onnx_export import export_onnx
    from s3fd.weights.digest import sha256

    target = out or weights.with_suffix(".onnx")
    try:
        network = load_network(weights)
    except WeightsError as error:
        fail(str(error))
    export_onnx(network, target, {"weights_sha256": sha256(weights)})
    typer.echo(target)
