"""``s3fd gallery``: people, and whether a face is one of theirs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3fd.cli.failure import fail

if TYPE_CHECKING:
    from s3fd.boxes import FloatArray
    from s3fd.identity.enrolment import Quality
    from s3fd.identity.job import Reader
    from s3fd.identity.sqlite_store import SqliteStore
    from s3fd.identity.store import Calibration

SOME_FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keep people in a gallery, and tell whether a face is one of theirs or unknown.",
)

Gallery = Annotated[Path, typer.Argument(metavar="GALLERY", help="The gallery's file.")]
Model = Annotated[
    Path,
    typer.Option(
        "--recogniser", metavar="FILE", help="Embedding model (.onnx), with its card (.json) beside it."
    ),
]
Weights = Annotated[str, typer.Option(metavar="NAME|FILE", help="The detector, as in `s3fd detect`.")]
MinSize = Annotated[
    float, typer.Option(min=0, metavar="PIXELS", help="Refuse faces whose shorter side is less.")
]
MinSharpness = Annotated[
    float, typer.Option(min=0, help="Refuse faces that are less sharp (variance of the Laplacian).")
]
Threshold = Annotated[
    float | None,
    typer.Option(min=-1, max=1, help="Least score, a cosine.", show_default="of `s3fd gallery calibrate`"),
]


@app.command()
def add(
    gallery: Gallery,
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A folder with a folder a person; with --name, a person's own."),
    ],
    recogniser: Model,
    name: Annotated[str | None, typer.Option(help="Whose picture, or folder of pictures, PATH is.")] = None,
    min_size: MinSize = 32,
    min_sharpness: MinSharpness = 20,
    weights: Weights = "slim",
) -> None:
    """Add people. The gallery is made if there is none, and bound to the recogniser.

    Each picture must show one face, large and sharp enough; one that does not is refused with the reason on a
    line of its own, and the run goes on. Writes a line of JSON a picture.

    Exit code: 0 if all were added, 1 if some were refused, 2 for a wrong call.
    """
    from s3fd.identity.decision import check_name
    from s3fd.identity.enrolment import Quality
    from s3fd.identity.sqlite_store import create_store

    quality = Quality(min_size, min_sharpness)
    with _failures():
        reader = _reader(recogniser, weights)
        jobs = [(check_name(person), files) for person, files in _people(path, name)]
        if not gallery.exists():
            create_store(gallery, reader.recogniser.model).close()
        failed = False
        with _open(gallery, reader) as store:
            for person, files in jobs:
                for file, vector in _vectors(reader, files, quality):
                    line = {"path": str(file), "name": person}
                    if isinstance(vector, str):
                        failed = True
                        line |= {"error": vector}
                    else:
                        store.add(person, vector[None], [str(file)])
                    typer.echo(json.dumps(line, ensure_ascii=False))
    if failed:
        raise typer.Exit(SOME_FAILED)


@app.command()
def remove(gallery: Gallery, name: Annotated[str, typer.Argument(metavar="NAME", help="Whom.")]) -> None:
    """Delete a person for good: no byte of their vectors stays in the file."""
    with _failures(), _store(gallery) as store:
        count = store.remove(name)
    typer.echo(json.dumps({"name": name, "removed": count}, ensure_ascii=False))


@app.command("list")
def list_people(gallery: Gallery) -> None:
    """List the people, a line of JSON each, with how many vectors they have."""
    with _failures(), _store(gallery) as store:
        for name, count in store.people().items():
            typer.echo(json.dumps({"name": name, "vectors": count}, ensure_ascii=False))


@app.command()
def identify(
    gallery: Gallery,
    paths: Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Pictures.", show_default=False)],
    recogniser: Model,
    threshold: Threshold = None,
    weights: Weights = "slim",
) -> None:
    r"""Tell who is in pictures: of each face a name, or "unknown".

    Writes a line of JSON a picture. Each face has the score of the person most like it and the threshold; who
    scores less is "unknown".

    Exit code: 0 if all went well, 1 if some pictures could not be read, 2 for a wrong call.
    """
    from s3fd.identity.decision import decide
    from s3fd.inference.pictures import PictureError

    failed = False
    with _failures():
        reader = _reader(recogniser, weights)
        with _open(gallery, reader) as store:
            if threshold is None:
                calibration = _calibration(store)
                threshold = calibration.identify
                _warn_of_growth(store, calibration)
            for path in paths:
                try:
                    faces, vectors = reader.every(path)
                except PictureError as error:
                    failed = True
                    typer.echo(json.dumps({"path": str(path), "error": error.reason}, ensure_ascii=False))
                    continue
                told = [
                    {"box": face["box"], **decide(store.search(vector), threshold).to_dict()}
                    for face, vector in zip(faces.to_dicts(), vectors, strict=True)
                ]
                typer.echo(json.dumps({"path": str(path), "faces": told}, ensure_ascii=False))
    if failed:
        raise typer.Exit(SOME_FAILED)


@app.command()
def verify(
    gallery: Gallery,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it should be.")],
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture with one face.")],
    recogniser: Model,
    threshold: Threshold = None,
    weights: Weights = "slim",
) -> None:
    """Tell whether a picture shows a person of the gallery. Exit code: 0 if so, 1 if not, 2 for an error."""
    from s3fd.identity.enrolment import Quality

    with _failures():
        reader = _reader(recogniser, weights)
        with _open(gallery, reader) as store:
            if threshold is None:
                threshold = _calibration(store).verify
            theirs = store.vectors_of(name)
        score = float((theirs @ reader.one(picture, Quality())).max())
    line = {"path": str(picture), "name": name, "same": score >= threshold}
    line |= {"score": round(score, 4), "threshold": round(threshold, 4)}
    typer.echo(json.dumps(line, ensure_ascii=False))
    if score < threshold:
        raise typer.Exit(SOME_FAILED)


@app.command()
def calibrate(
    gallery: Gallery,
    strangers: Annotated[
        Path, typer.Argument(metavar="STRANGERS", help="Folder with a folder a person who is not in GALLERY.")
    ],
    recogniser: Model,
    false_accepts: Annotated[
        float, typer.Option(min=0, max=1, help="Share of strangers' faces that may be taken for somebody.")
    ] = 0.01,
    weights: Weights = "slim",
) -> None:
    """Fit the thresholds to people who are not in the gallery, and keep them in it."""
    from dataclasses import asdict

    import numpy as np

    from s3fd.identity import calibration
    from s3fd.identity.enrolment import Quality

    with _failures():
        reader = _reader(recogniser, weights)
        people: dict[str, FloatArray] = {}
        with _open(gallery, reader) as store:
            for person, files in _people(strangers, None):
                found = []
                for file, vector in _vectors(reader, files, Quality()):
                    if isinstance(vector, str):
                        typer.echo(f"s3fd: {file}: {vector}", err=True)
                    else:
                        found.append(vector)
                if found:
                    people[person] = np.stack(found)
            fitted = calibration.calibrate(store, people, false_accepts)
            store.calibrate(fitted)
    typer.echo(json.dumps(asdict(fitted)))


def _calibration(store: SqliteStore) -> Calibration:
    """The gallery's thresholds; raises GalleryError if it has none."""
    from s3fd.identity.store import GalleryError

    calibration = store.calibration
    if calibration is None:
        raise GalleryError("no threshold: run s3fd gallery calibrate, or give --threshold")
    return calibration


def _warn_of_growth(store: SqliteStore, calibration: Calibration) -> None:
    """Say so if the gallery has more vectors than when it was calibrated."""
    vectors = sum(store.people().values())
    if vectors > calibration.vectors:
        typer.echo(
            f"s3fd: calibrated with {calibration.vectors} vectors, now there are {vectors}: "
            "strangers are taken for somebody more often; calibrate again",
            err=True,
        )


def _people(path: Path, name: str | None) -> list[tuple[str, list[Path]]]:
    """Names, and the pictures of each."""
    from s3fd.identity.job import folders_in, pictures_in

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if name is not None:
        return [(name, pictures_in(path) if path.is_dir() else [path])]
    people = [(folder.name, pictures_in(folder)) for folder in folders_in(path)] if path.is_dir() else []
    if not people:
        raise ValueError(f"{path}: has no folder a person; whose it is itself, --name says")
    return people


def _vectors(reader: Reader, files: list[Path], quality: Quality) -> Iterator[tuple[Path, FloatArray | str]]:
    """The vector of the one face of each file, or why there is none."""
    from s3fd.identity.enrolment import Refusal
    from s3fd.inference.pictures import PictureError

    for file in files:
        try:
            yield file, reader.one(file, quality)
        except PictureError as error:
            yield file, error.reason
        except Refusal as refusal:
            yield file, str(refusal)


def _reader(recogniser: Path, weights: str) -> Reader:
    """The detector and the recogniser."""
    from s3fd.identity.job import Reader
    from s3fd.identity.onnx_recogniser import open_recogniser
    from s3fd.inference.detector import load

    return Reader(load(weights), open_recogniser(recogniser))


def _store(gallery: Path) -> SqliteStore:
    """The gallery in a file."""
    from s3fd.identity.sqlite_store import open_store

    return open_store(gallery)


def _open(gallery: Path, reader: Reader) -> SqliteStore:
    """The gallery in a file, if its vectors can be compared with the reader's."""
    from s3fd.identity.store import GalleryError, check_model

    store = _store(gallery)
    try:
        check_model(store, reader.recogniser.model)
    except GalleryError:
        store.close()
        raise
    return store


@contextmanager
def _failures() -> Iterator[None]:
    """End with one line for what a user can put right."""
    try:
        yield
    except (OSError, ValueError, sqlite3.Error) as error:
        fail(str(error))
