"""``s3fd eval verification``: are two pictures of one person?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3fd.cli.engine import Size
from s3fd.cli.failure import fail
from s3fd.cli.gallery.options import Model, Weights
from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.evaluation.verification_groups import GroupErrors
    from s3fd.evaluation.verification_pictures import Judged, Name

FALSE_ACCEPTS = (1e-2, 1e-3)
"""Rates at which the share of true accepts is told."""


def verification(
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="File of pairs in the format of LFW's pairs.txt.")
    ],
    images: Annotated[
        Path,
        typer.Option(help="Folder of the pictures (NAME_0001.jpg), or of one folder of pictures per person."),
    ],
    recogniser: Model = None,
    weights: Weights = None,
    size: Size = "vga",
    groups: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table with a Person column and a column for --by.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Column of --groups to group by.")] = "Gender",
    plot: Annotated[Path | None, typer.Option(help="Draw the ROC to this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure face verification accuracy by LFW's protocol: do two pictures show the same person?

    Each fold's threshold is chosen on the other folds. In each picture, only one face counts: a large one
    near the middle. A pair with a picture in which no face is found counts as different people.
    """
    from s3fd.evaluation.verification import read_pairs
    from s3fd.evaluation.verification_groups import by_group, read_groups
    from s3fd.evaluation.verification_pictures import find_pictures, judge
    from s3fd.identity.job import open_reader
    from s3fd.inference.resize import parse_size

    try:
        if plot is not None:
            from s3fd.cli.evaluate import check_plot
            from s3fd.evaluation.verification_plot import plot as draw

            check_plot(plot)
        people = {} if groups is None else read_groups(groups, by)
        listed = read_pairs(pairs)
        files = find_pictures(listed, images)
        reader = open_reader(weights, recogniser, parse_size(size))
        judged = judge(reader, listed, files, _progress)
        if plot is not None:
            draw({reader.recogniser.model.name: judged.result}, plot)
    except (ImportError, OSError, ValueError) as error:
        fail(str(error))
    errors = by_group(judged, people)
    typer.echo(json.dumps(_report(judged, errors)) if as_json else _table(judged, errors))


def _progress(names: Iterable[Name], count: int) -> Iterable[Name]:
    """Show how far the pictures are, on standard error."""
    from rich.console import Console
    from rich.progress import track

    return track(names, "pictures", total=count, console=Console(stderr=True), transient=True)


def _report(judged: Judged, groups: Mapping[str, GroupErrors]) -> dict[str, Any]:
    """The figures, ready for JSON."""
    from dataclasses import asdict

    result = judged.result
    return {
        "pairs": len(judged.pairs),
        "accuracy": round(result.accuracy, 4),
        "standard_error": round(result.standard_error, 4),
        "folds": [round(float(accuracy), 4) for accuracy in result.accuracies],
        "thresholds": [round(float(threshold), 4) for threshold in result.thresholds],
        "true_accepts": {f"{rate:g}": round(result.roc.at(rate), 4) for rate in FALSE_ACCEPTS},
        "without_face": judged.without_face,
        "groups": {name: asdict(errors) for name, errors in groups.items()},
    }


def _table(judged: Judged, groups: Mapping[str, GroupErrors]) -> str:
    """The figures for a person to read, rounded once: 0.646 % is 0.6 %, not 0.65 % and then 0.7 %."""
    result = judged.result
    pairs, pictures = counted(len(judged.pairs), "pair"), counted(len(judged.without_face), "picture")
    lines = [f"{pairs}, {pictures} without a detected face"]
    lines.append(f"accuracy {result.accuracy:.1%} ± {result.standard_error:.1%} (standard error)")
    lines.append("folds    " + "  ".join(f"{accuracy:.1%}" for accuracy in result.accuracies))
    for rate in FALSE_ACCEPTS:
        lines.append(f"true accepts at a false accept rate of {rate:g}: {result.roc.at(rate):.1%}")
    if groups:
        lines.append(f"{'group':12}{'same':>6}{'rejected':>10}{'different':>11}{'accepted':>10}")
    for name, errors in groups.items():
        lines.append(
            f"{name:12}{errors.same:6}{errors.false_rejects:10.1%}{errors.different:11}"
            f"{errors.false_accepts:10.1%}"
        )
    return "\n".join(lines)
