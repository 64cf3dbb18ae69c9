"""``s3fd weights``: what is bundled, import of the public weights, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Size
from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.folders import check_file
from s3fd.cli.labels import Images, Index
from s3fd.counted import counted

app = application(
    no_args_is_help=True, help="List the bundled weights, import the public ones, or calibrate an attribute."
)


@app.command("list")
def list_weights() -> None:
    """List the bundled models with their size, SHA-256 and path."""
    from s3fd.inference.runtime import BUNDLED, bundled
    from s3fd.weights.digest import sha256

    for name in bundled():
        path = BUNDLED / f"{name}.onnx"
        typer.echo(f"{name}\t{path.stat().st_size / 2**20:.1f} MiB\t{sha256(path)}\t{path}")


@app.command("import")
def import_weights(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Public state dict, such as s3fd_convert.7z or s3fd-619a316812.pth."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write.",
            show_default="FILE with .safetensors, in the current folder",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Convert the public PyTorch weights (.pth, or a .7z that contains one) to safetensors.

    The name and shape of every tensor are checked, no code in the file is run, and the quirks that the
    weights were trained with are kept. A card (.md) and the SHA-256 (.sha256) are written next to the
    weights.
    """
    with needs_extra("train"):
        from s3fd.weights.network_file import WeightsError, save_network
        from s3fd.weights.public import BACKBONE, card, import_public
    from s3fd.weights.atomic import write_atomically
    from s3fd.weights.digest import sha256

    check_file("--out", out)
    target = out or Path(file.with_suffix(".safetensors").name)
    try:
        network = import_public(file)
        source_digest = sha256(file)
        save_network(network, BACKBONE, target, {"source": file.name, "source_sha256": source_digest})
        digest = sha256(target)
        write_atomically(target.with_suffix(".md"), card(file, source_digest, target, digest).encode())
        write_atomically(target.with_suffix(".sha256"), f"{digest}  {target.name}\n".encode())
    except (WeightsError, OSError) as error:
        fail(str(error))
    typer.echo(target)


@app.command("calibrate")
def calibrate_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights (.safetensors) with attributes.")],
    index: Index,
    images: Images,
    target: Annotated[
        str,
        typer.Option(metavar="COLUMN[:A=name,B=name]", help="Label column, as in `s3fd eval attribute`."),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="Name of the attribute in the weights.", show_default="the column, in lower case"),
    ] = None,
    size: Size = "vga",
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="FILE itself", dir_okay=False)
    ] = None,
) -> None:
    """Fit an attribute's temperature on held-out faces, so that its probabilities can be trusted.

    `s3fd finetune` does this by itself if it holds out 50 faces or more; weights from `s3fd train` need it
    once per attribute. Predictions stay the same; only their probabilities change. Models exported earlier,
    such as a run's model.onnx, are not updated: export them again.
    """
    with needs_extra("train"):
        from s3fd.attributes import run
        from s3fd.inference.torch_runtime import TorchRuntime
        from s3fd.weights.network_file import WeightsError, backbone_of, load_network, save_network
    from s3fd.cli.skipped import report_skipped
    from s3fd.evaluation.attribute_faces import observe
    from s3fd.evaluation.attribute_report import check_classes
    from s3fd.inference.detector import Detector
    from s3fd.inference.resize import parse_size

    check_file("--out", out)
    try:
        network = load_network(file)
        labels = run.read_labels(index, images, target, None)
        report_skipped(labels.problems, "row")
        (column,) = labels.targets
        called = name or column.column.lower()
        detector = Detector(TorchRuntime(network), size=parse_size(size), attributes=(called,))
        check_classes(called, detector.runtime.classes[called], column.names)
        found = observe(detector, called, labels.pictures, column.column)
        report_skipped([why for _, why in found.unread], "picture")
        temperature = run.calibrate(network, called, found.observations)
        save_network(network, backbone_of(file), out or file)
    except (WeightsError, ValueError, OSError) as error:
        fail(str(error))
    typer.echo(
        f"{called}: temperature {temperature:.2f} from {counted(len(found.observations), 'face')}", err=True
    )
    typer.echo(out or file)
