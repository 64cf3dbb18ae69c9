"""``s3fd gallery add``, ``remove`` and ``list``: who is in a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s3fd.cli.gallery.options import (
    Gallery,
    MinScore,
    MinSharpness,
    MinSize,
    Model,
    Weights,
    failures,
)
from s3fd.cli.running import SOME_FAILED, print_json


def add(
    gallery: Gallery,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder with one folder per person; with --name, that person's own folder or picture.",
        ),
    ],
    recogniser: Model = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the person whose picture, or folder of pictures, PATH is.")
    ] = None,
    min_size: MinSize = 32,
    min_sharpness: MinSharpness = 20,
    min_score: MinScore = 0.7,
    weights: Weights = None,
) -> None:
    """Add people to a gallery.

    A missing gallery is created, and bound to the recogniser. Each picture must show a single face that is
    large and sharp enough. A picture that the person already has is not stored again, so the same command
    may be repeated, for example with new pictures in the folder.

    Writes one line of JSON per picture, with "added": true, or false if the person has it already. If a
    picture is refused, its line gives the reason, and the run continues.

    Exit code: 0 on success, 1 if some pictures were refused or a folder has none, 2 for a usage error.
    """
    from s3fd.identity import galleries
    from s3fd.identity.decision import check_name
    from s3fd.identity.enrolment import Quality
    from s3fd.identity.job import open_reader, people_in
    from s3fd.inference.writers import valid_text

    quality = Quality(min_size, min_sharpness, min_score)
    failed = False
    with failures():
        reader = open_reader(weights, recogniser)
        people = [(check_name(person), files) for person, files in people_in(path, name)]
        galleries.ensure(gallery, reader.recogniser.model)
        with galleries.open_gallery(gallery, reader.recogniser.model) as store:
            for person, files in people:
                if not files:
                    failed = True
                    typer.echo(
                        f"s3fd: no pictures of {person}: their folder has none directly in it", err=True
                    )
                for file, vector in reader.each(files, quality):
                    line = {"path": str(file), "name": person}
                    if isinstance(vector, str):
                        failed = True
                        print_json(line | {"error": vector})
                    else:
                        added = store.add(person, vector[None], [valid_text(str(file))])
                        print_json(line | {"added": added > 0})
    if failed:
        raise typer.Exit(SOME_FAILED)


def remove(
    gallery: Gallery, name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")]
) -> None:
    """Delete a person permanently.

    No byte of their vectors stays in the file, or in the tables of the database.
    """
    from s3fd.identity.galleries import open_gallery

    with failures(), open_gallery(gallery) as store:
        count = store.remove(name)
    print_json({"name": name, "removed": count})


def list_people(gallery: Gallery) -> None:
    """List the people and their number of vectors, one line of JSON per person."""
    from s3fd.identity.galleries import open_gallery

    with failures(), open_gallery(gallery) as store:
        for name, count in store.people().items():
            print_json({"name": name, "vectors": count})
