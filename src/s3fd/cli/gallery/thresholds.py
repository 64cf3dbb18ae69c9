"""``s3fd gallery calibrate``: from which score on a face is somebody's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.gallery.options import Gallery, Model, Weights, failures
from s3fd.cli.running import print_json

if TYPE_CHECKING:
    from s3fd.boxes import FloatArray


def calibrate(
    gallery: Gallery,
    strangers: Annotated[
        Path,
        typer.Argument(
            metavar="STRANGERS", help="Folder with one folder per person, none of them in GALLERY."
        ),
    ],
    recogniser: Model = None,
    false_accepts: Annotated[
        float, typer.Option(min=0, max=1, help="Share of strangers' faces that may be mistaken for somebody.")
    ] = 0.01,
    weights: Weights = None,
) -> None:
    """Fit the thresholds on people who are not in the gallery, and store them in it."""
    from dataclasses import asdict

    import numpy as np

    from s3fd.identity import calibration
    from s3fd.identity.enrolment import Quality
    from s3fd.identity.galleries import open_gallery
    from s3fd.identity.job import open_reader, people_in

    with failures():
        reader = open_reader(weights, recogniser)
        people: dict[str, FloatArray] = {}
        with open_gallery(gallery, reader.recogniser.model) as store:
            for person, files in people_in(strangers):
                found = []
                for file, vector in reader.each(files, Quality()):
                    if isinstance(vector, str):
                        typer.echo(f"s3fd: {file}: {vector}", err=True)
                    else:
                        found.append(vector)
                if found:
                    people[person] = np.stack(found)
            fitted = calibration.calibrate(store, people, false_accepts)
            store.calibrate(fitted)
    print_json(asdict(fitted))
