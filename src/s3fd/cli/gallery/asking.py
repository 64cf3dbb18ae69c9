"""``s3fd gallery identify`` and ``verify``: whose face it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.gallery.options import Gallery, Model, Threshold, Weights, failures
from s3fd.cli.running import SOME_FAILED, print_json
from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.identity.store import Calibration, Store


def identify(
    gallery: Gallery,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE", help="Pictures with faces to identify.", show_default=False),
    ],
    recogniser: Model = None,
    threshold: Threshold = None,
    weights: Weights = None,
) -> None:
    r"""Identify the faces in pictures: by name, or as "unknown".

    Writes one line of JSON per picture. Each face has the score of the person most similar to it and the
    threshold. A face that scores less than the threshold is "unknown".

    Exit code: 0 on success, 1 if some pictures could not be read, 2 for a usage error.
    """
    from s3fd.identity.decision import decide
    from s3fd.identity.galleries import open_gallery
    from s3fd.identity.job import open_reader
    from s3fd.inference.pictures import PictureError

    failed = False
    with failures():
        reader = open_reader(weights, recogniser)
        with open_gallery(gallery, reader.recogniser.model) as store:
            if threshold is None:
                threshold = thresholds_of(store).identify
            for path in paths:
                try:
                    faces, vectors = reader.every(path)
                except PictureError as error:
                    failed = True
                    print_json({"path": str(path), "error": error.reason})
                    continue
                told = [
                    {"box": face["box"], **decide(store.search(vector), threshold).to_dict()}
                    for face, vector in zip(faces.to_dicts(), vectors, strict=True)
                ]
                print_json({"path": str(path), "faces": told})
    if failed:
        raise typer.Exit(SOME_FAILED)


def verify(
    gallery: Gallery,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the person to check for.")],
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="Picture with one face.")],
    recogniser: Model = None,
    threshold: Threshold = None,
    weights: Weights = None,
) -> None:
    """Check whether a picture shows a given person of the gallery.

    Exit code: 0 if it does, 1 if it does not, 2 for an error.
    """
    from s3fd.identity.enrolment import Quality
    from s3fd.identity.galleries import open_gallery
    from s3fd.identity.job import open_reader

    with failures():
        reader = open_reader(weights, recogniser)
        with open_gallery(gallery, reader.recogniser.model) as store:
            if threshold is None:
                threshold = thresholds_of(store).verify
            theirs = store.vectors_of(name)
        score = float((theirs @ reader.one(picture, Quality())).max())
    line = {"path": str(picture), "name": name, "same": score >= threshold}
    print_json(line | {"score": round(score, 4), "threshold": round(threshold, 4)})
    if score < threshold:
        raise typer.Exit(SOME_FAILED)


def thresholds_of(store: Store) -> Calibration:
    """The gallery's thresholds, with a warning if it has grown since; raises GalleryError if it has none."""
    from s3fd.identity.store import GalleryError

    calibration = store.calibration
    if calibration is None:
        raise GalleryError("no threshold: run `s3fd gallery calibrate`, or pass --threshold")
    vectors = sum(store.people().values())
    if vectors > calibration.vectors:
        typer.echo(
            f"s3fd: the gallery was calibrated with {counted(calibration.vectors, 'vector')} and now has "
            f"{vectors}, so strangers are matched more often; run `s3fd gallery calibrate` again",
            err=True,
        )
    return calibration
