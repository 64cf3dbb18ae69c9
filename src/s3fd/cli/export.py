"""``s3fd export``: trained weights as a model that needs no PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.folders import check_file

if TYPE_CHECKING:
    from s3fd.inference.pictures import Pixels

app = application(no_args_is_help=True, help="Export a detector to ONNX or OpenVINO.")


@app.callback()
def main() -> None:
    """Export a detector to ONNX or OpenVINO."""


@app.command()
def onnx(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="Weights (.safetensors), such as those from `s3fd train` or `s3fd weights import`.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="WEIGHTS with .onnx", dir_okay=False)
    ] = None,
) -> None:
    """Export an ONNX model for any batch size, height and width.

    Pre-processing and box decoding are part of the graph; the score threshold and non-maximum suppression are
    not.
    """
    check_file("--out", out)
    target = out or weights.with_suffix(".onnx")
    _write_onnx(weights, target)
    typer.echo(target)


@app.command()
def openvino(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS", help="Weights as for `s3fd export onnx`, an .onnx file or a bundled model."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.xml",
            help="File to write. The weights are written next to it, to FILE.bin.",
            show_default="WEIGHTS with .xml, or .int8.xml",
            dir_okay=False,
        ),
    ] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Store weights as 16-bit floats, in half the space.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Run convolutions in 8-bit integers; needs --calibration.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Pictures to calibrate --int8 on, with faces and similar to those you will process. "
            "Up to 300 are used, spread over the folder.",
        ),
    ] = None,
) -> None:
    """Export an OpenVINO model (.xml and .bin) for any batch size, height and width.

    Pre-processing and box decoding are part of the graph; the score threshold and non-maximum suppression are
    not. With --int8, boxes are still decoded in floating point.
    """
    if int8 != (calibration is not None):
        fail("--int8 and --calibration must be used together")
    with needs_extra("openvino"):
        from s3fd.weights.openvino_export import check_name, read_onnx, save_openvino

    check_file("--out", out)
    target = out or weights.with_suffix(".int8.xml" if int8 else ".xml")
    try:
        check_name(target)
        pictures = None if calibration is None else _calibration_pictures(calibration)
        with tempfile.TemporaryDirectory() as folder:
            model = read_onnx(_as_onnx(weights, Path(folder)))
            if pictures is not None:
                from s3fd.weights.quantise import quantise

                model = quantise(model, pictures)
            save_openvino(model, target, fp16)
    except (OSError, ValueError) as error:
        fail(str(error))
    typer.echo(target)


def _as_onnx(weights: Path, folder: Path) -> Path:
    """The ONNX model that `weights` are or stand for; trained weights are exported to `folder`."""
    from s3fd.inference.runtime import BUNDLED, bundled

    if str(weights) in bundled():
        return BUNDLED / f"{weights}.onnx"
    if weights.suffix == ".onnx":
        return weights
    exported = folder / "model.onnx"
    _write_onnx(weights, exported)
    return exported


def _write_onnx(weights: Path, target: Path) -> None:
    """Write trained weights as an ONNX model, or end with what is wrong about them."""
    with needs_extra("train"):
        from s3fd.weights.network_file import WeightsError, load_network
        from s3fd.weights.onnx_export import export_onnx
    from s3fd.weights.digest import sha256

    try:
        network = load_network(weights)
    except WeightsError as error:
        fail(str(error))
    try:
        export_onnx(network, target, {"weights_sha256": sha256(weights)})
    except OSError as error:  # of a temporary file too, which the message does not name
        fail(f"cannot write {target}: {error.strerror or error}")


def _calibration_pictures(folder: Path) -> list[Pixels]:
    """Read the pictures of a folder, name those that cannot be read, or end if there are none."""
    with needs_extra("int8"):
        from s3fd.weights.quantise import calibration_pictures

    try:
        pictures, unread = calibration_pictures(folder)
    except ValueError as error:
        fail(f"--calibration: {error}")
    for line in unread:
        typer.echo(f"s3fd: {line}", err=True)
    return pictures
