"""``s3fd eval``: how good the detector is, or any other whose results lie in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.application import application
from s3fd.cli.engine import Size, Threads, Weights
from s3fd.cli.failure import fail
from s3fd.cli.labels import Images, Index
from s3fd.cli.verification import verification
from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.evaluation.wider import Curve, GroundTruth

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

SHOWN_WARNINGS = 20

app = application(no_args_is_help=True, help="Evaluate a detector on labelled faces.")


@app.callback()
def main() -> None:
    """Evaluate a detector on labelled faces."""


app.command()(verification)


@app.command()
def wider(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="Folder of pictures in event folders, such as WIDER_val/images."
        ),
    ],
    ground_truth: Annotated[
        Path,
        typer.Option(
            help="Folder with wider_face_val.mat, wider_easy_val.mat, wider_medium_val.mat and "
            "wider_hard_val.mat."
        ),
    ],
    results: Annotated[Path, typer.Option(help="Folder for the result files, EVENT/NAME.txt.")],
    protocol: Annotated[
        str, typer.Option(help="Test protocol: vga, single, auto, multiscale or paper.")
    ] = "vga",
    weights: Weights = "slim",
    score_only: Annotated[
        bool, typer.Option("--score-only", help="Skip detection, and score the files in --results.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the precision-recall curves to this file (.png, .svg, .pdf).")
    ] = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure average precision on WIDER FACE: easy, medium and hard.

    Only the pictures in IMAGES count, so part of the validation set is enough. The detector runs on them and
    writes its result files to --results. With --score-only, you can score the files of any detector that
    writes this layout.
    """
    from s3fd.evaluation import results as result_files
    from s3fd.evaluation import wider as benchmark

    try:
        if plot is not None:  # before the detector runs, so that a mistake shows at once
            from s3fd.evaluation.plot import plot as draw

            check_plot(plot)
        pictures = _pictures(images)
        truth = _subset(benchmark.load(ground_truth), pictures, images)
        if not score_only:
            _detect({name: pictures[name] for name in truth.pictures}, protocol, weights, threads, results)
        elif not results.is_dir():
            fail(f"{results}: no such folder")
        # Read back, so that the figures are those of the files.
        found = result_files.read_all(results, truth.pictures)
        if not found:
            fail(f"{results}: no result files for the pictures in {images}")
        missing = [name for name in truth.pictures if name not in found]
        _warn([f"{name}: no result file; counted as no detections" for name in missing])
        curves = benchmark.evaluate(found, truth)
        if plot is not None:
            draw({results.resolve().name: curves}, plot)
    except (ImportError, OSError, ValueError) as error:
        fail(str(error))
    show = _json if as_json else _table
    typer.echo(show(curves, truth, None if score_only else protocol))


@app.command()
def attribute(
    index: Index,
    images: Images,
    target: Annotated[
        str,
        typer.Option(
            metavar="COLUMN[:A=name,B=name]",
            help="Label column. After the colon, its values and their class names in the weights.",
        ),
    ],
    weights: Weights = "slim",
    name: Annotated[
        str | None,
        typer.Option(help="Name of the attribute in the weights.", show_default="the column, in lower case"),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Column to group by, such as Age; may be repeated.")
    ] = None,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Abstain from predictions that are less probable than this.")
    ] = 0.0,
    size: Size = "vga",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the table and the calibration to this file (.png, .svg, .pdf).")
    ] = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure accuracy and calibration of an attribute such as gender, by face size and group.

    The detector finds the faces itself. The label of a whole picture applies to its largest face, and a label
    with a box to the face found there. Labelled faces that are not found are counted, but enter no other
    figure.
    """
    from s3fd.evaluation import attribute_report as reports

    try:
        if plot is not None:
            from s3fd.evaluation.attribute_plot import plot as draw

            check_plot(plot)
        report = reports.evaluate(
            index,
            images,
            target,
            weights=weights,
            name=name,
            groups=by or [],
            min_probability=min_probability,
            size=size,
            threads=threads,
        )
        _warn([str(problem) for problem in report.problems])
        if plot is not None:
            draw(report.sections, report.reliability, plot)
    except (ImportError, OSError, ValueError) as error:
        fail(str(error))
    typer.echo(json.dumps(report.to_dict()) if as_json else report.text())


def check_plot(path: Path) -> None:
    """End unless `path` can become a plot."""
    from s3fd.evaluation.plot import FORMATS

    if path.suffix.lower() not in FORMATS:
        fail(f"{path}: unsupported plot format; use one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        fail(f"{path.parent}: no such folder")


def _pictures(images: Path) -> dict[str, Path]:
    """Files of the pictures below `images` by name, ``EVENT/NAME``."""
    if not images.is_dir():
        fail(f"{images}: no such folder")
    paths = sorted(path for path in images.glob("*/*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        fail(f"{images}: no pictures in event folders (EVENT/NAME.jpg)")
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def _subset(truth: GroundTruth, pictures: Mapping[str, Path], images: Path) -> GroundTruth:
    """The part of the ground truth that there are pictures for."""
    known = [name for name in pictures if name in truth.pictures]
    if not known:
        fail(f"{images}: none of its pictures is in the ground truth of WIDER FACE's validation set")
    _warn([f"{name}: not in the ground truth; skipped" for name in pictures if name not in truth.pictures])
    return truth.only(known)


def _detect(
    pictures: Mapping[str, Path], protocol: str, weights: str, threads: int | None, results: Path
) -> None:
    """Run the detector over the pictures and write the result files."""
    from rich.console import Console
    from rich.progress import track

    from s3fd.evaluation import results as result_files
    from s3fd.evaluation.protocols import PROTOCOLS
    from s3fd.faces import Faces
    from s3fd.inference.pictures import PictureError, read
    from s3fd.inference.runtime import open_runtime

    if protocol not in PROTOCOLS:
        fail(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    find = PROTOCOLS[protocol]
    runtime = open_runtime(weights, threads)
    results.mkdir(parents=True, exist_ok=True)
    unread = []
    console = Console(stderr=True)
    for name, path in track(pictures.items(), description=protocol, console=console, transient=True):
        try:
            faces = find(runtime, read(path))
        except PictureError as error:
            unread.append(f"{error}; counted as no detections")
            faces = Faces.empty()
        result_files.write(results, name, faces)
    _warn(unread)


def _json(curves: Mapping[str, Curve], truth: GroundTruth, protocol: str | None) -> str:
    """The figures as JSON; `protocol` is None where the results are of unknown origin."""
    report = {
        "protocol": protocol,
        "pictures": len(truth.pictures),
        "average_precision": {name: round(curve.average_precision, 4) for name, curve in curves.items()},
        "faces": {setting: truth.count(setting) for setting in curves},
    }
    return json.dumps(report)


def _table(curves: Mapping[str, Curve], truth: GroundTruth, protocol: str | None) -> str:
    """The figures for a person to read, rounded once."""
    origin = f", protocol {protocol}" if protocol else ""
    rows = [f"WIDER FACE, {counted(len(truth.pictures), 'picture')}{origin}", f"{'':8}{'AP':>6}{'faces':>8}"]
    for setting, curve in curves.items():
        rows.append(f"{setting:8}{curve.average_precision:6.3f}{truth.count(setting):8}")
    return "\n".join(rows)


def _warn(messages: Sequence[str]) -> None:
    """Say what is amiss without ending the run."""
    for message in messages[:SHOWN_WARNINGS]:
        typer.echo(f"s3fd: {message}", err=True)
    if len(messages) > SHOWN_WARNINGS:
        typer.echo(f"s3fd: and {len(messages) - SHOWN_WARNINGS} more like this", err=True)
