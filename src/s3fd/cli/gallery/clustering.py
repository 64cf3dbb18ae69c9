"""``s3fd gallery cluster``: who appears in photographs, and with whom."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from s3fd.cli.folders import open_new_folder
from s3fd.cli.gallery.options import MinSize, Model, Threshold, Weights, failures
from s3fd.cli.running import SOME_FAILED, print_json, print_line
from s3fd.counted import counted

if TYPE_CHECKING:
    from s3fd.boxes import FloatArray
    from s3fd.faces import Faces
    from s3fd.identity.job import Reader
    from s3fd.identity.store import Store

SHOWN = 3
"""Companions of a person in the table."""


class Seen(NamedTuple):
    """A face of a photograph: where it is, and its vector (D,)."""

    path: str
    face: Faces
    vector: FloatArray


def cluster(
    photographs: Annotated[
        Path, typer.Argument(metavar="PHOTOGRAPHS", help="Folder of pictures, searched recursively.")
    ],
    recogniser: Model = None,
    threshold: Threshold = None,
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="GALLERY", help="Use the threshold of this gallery, and its names for the people in it."
        ),
    ] = None,
    min_size: MinSize = 32,
    least: Annotated[
        int, typer.Option(min=1, help="Leave out people who are in fewer pictures than this.")
    ] = 2,
    folders: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the faces to DIR, a new folder, with one folder per person."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    weights: Weights = None,
) -> None:
    """Find out who appears in a folder of photographs, and who appears together.

    Similar faces are grouped into one person. A person is called by a number, or by the name that --gallery
    has for most of the faces. Faces in the same picture are taken to be different people.

    Exit code: 0 on success, 1 if some pictures could not be read, 2 for a usage error.
    """
    from s3fd.identity.galleries import open_gallery
    from s3fd.identity.job import open_reader

    with failures():
        from s3fd.cli.gallery.asking import thresholds_of
        from s3fd.identity import clustering

        if threshold is None and gallery is None:
            raise ValueError("no threshold: pass --threshold, or a calibrated --gallery")
        if folders is not None:
            open_new_folder("--folders", folders, photographs)
        reader = open_reader(weights, recogniser)
        store = None if gallery is None else open_gallery(gallery, reader.recogniser.model)
        try:
            if threshold is None:
                assert store is not None
                threshold = thresholds_of(store).between_faces
            failed: list[str] = []
            faces = _faces(reader, photographs, min_size, failed)
            seen = list(itertools.islice(faces, clustering.MOST + 1))  # more are refused, and soon
            names = _people(seen, threshold, store)
        finally:
            if store is not None:
                store.close()
        shown = {name: count for name, count in _pictures(names, seen).items() if count >= least}
        kept = [(name, face) for name, face in zip(names, seen, strict=True) if name in shown]
        paths = [face.path for _, face in kept]
        pairs = clustering.together([name for name, _ in kept], paths)
        if folders is not None:
            _write(kept, folders)
    if as_json:
        print_json(_report(kept, pairs))
    else:
        print_line(_table(shown, pairs))
    left = sum(name not in shown for name in names)
    few = f"people in fewer than {counted(least, 'picture')}"
    typer.echo(f"s3fd: {counted(len(seen), 'face')}, {left} of them left out ({few})", err=True)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _faces(reader: Reader, photographs: Path, min_size: float, failed: list[str]) -> Iterator[Seen]:
    """The faces of all pictures; those that cannot be read are told, and noted in `failed`."""
    from s3fd.inference.pictures import PictureError
    from s3fd.inference.sources import sources

    if not photographs.is_dir():
        raise FileNotFoundError(f"{photographs}: no such folder")
    for source in sources([str(photographs)]):
        if source.pixels is not None:
            continue  # a frame of a video
        try:
            faces, vectors = reader.every(Path(source.path))
        except PictureError as error:
            failed.append(source.path)
            typer.echo(f"s3fd: {source.path}: {error.reason}", err=True)
            continue
        for face, vector in zip(faces, vectors, strict=True):
            if len(face.filter(min_size=min_size)):
                yield Seen(source.path, face, vector)


def _people(seen: Sequence[Seen], threshold: float, store: Store | None) -> list[str]:
    """Whose face each is."""
    import numpy as np

    from s3fd.identity.clustering import cluster as group

    if not seen:
        return []
    places = {path: i for i, path in enumerate(dict.fromkeys(face.path for face in seen))}
    pictures = np.array([places[face.path] for face in seen])
    numbers = group(np.stack([face.vector for face in seen]), pictures, threshold)
    known: list[Counter[str]] = [Counter() for _ in range(int(numbers.max()) + 1)]
    if store is not None:
        limit = store.calibration.identify if store.calibration else threshold
        for number, face in zip(numbers, seen, strict=True):
            for match in store.search(face.vector):
                known[number][match.name if match.score >= limit else ""] += 1
    names = _names(known, set() if store is None else set(store.people()))
    return [names[number] for number in numbers]


def _names(known: Sequence[Counter[str]], taken: Collection[str]) -> list[str]:
    """What to call people: the name that most of their faces are given, or else a number.

    The gallery may have a "person 1" too, `taken` from an earlier clustering: that is somebody else.
    """
    numbered = (f"person {number}" for number in itertools.count(1))
    free = (name for name in numbered if name not in taken)
    called = [votes.most_common(1)[0][0] if votes else "" for votes in known]
    return [name or next(free) for name in called]


def _pictures(names: Sequence[str], seen: Sequence[Seen]) -> dict[str, int]:
    """In how many pictures each person is, most first."""
    shown: dict[str, set[str]] = {}
    for name, face in zip(names, seen, strict=True):
        shown.setdefault(name, set()).add(face.path)
    counts = {name: len(paths) for name, paths in shown.items()}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _write(kept: Sequence[tuple[str, Seen]], folders: Path) -> None:
    """Write each face into the folder of its person."""
    from s3fd.inference import draw
    from s3fd.inference.pictures import read

    by_picture: dict[str, list[tuple[str, Seen]]] = {}
    for name, face in kept:
        by_picture.setdefault(face.path, []).append((name, face))
    places = folder_names(name for name, _ in kept)
    counts: Counter[str] = Counter()
    for path, faces in by_picture.items():
        pixels = read(path)
        for name, face in faces:
            (crop,) = draw.crop(pixels, face.face)
            counts[name] += 1
            draw.save(crop, folders / places[name] / f"{counts[name]:04d} {Path(path).stem}.jpg")


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """What to call the folder of each name: each is right in the folder it is made in, and is no other's.

    Some file systems hold names for the same that differ in case, or in how Unicode spells them.
    """
    from s3fd.identity.store import composed

    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = _plain(name)
        tried = itertools.chain([plain], (f"{plain} {number}" for number in itertools.count(2)))
        folders[name] = next(folder for folder in tried if composed(folder).casefold() not in taken)
        taken.add(composed(folders[name]).casefold())
    return folders


def _plain(name: str) -> str:
    """A name without what would lead to another folder, on any system."""
    plain = re.sub(r"[/\\:\0]", "_", name)
    return plain if plain.strip(".") else plain.replace(".", "_")


def _report(kept: Sequence[tuple[str, Seen]], pairs: Counter[tuple[str, str]]) -> dict[str, Any]:
    """People with their faces, and who is together in how many pictures, ready for JSON."""
    people: dict[str, list[dict[str, Any]]] = {}
    for name, seen in kept:
        (face,) = seen.face.to_dicts()
        people.setdefault(name, []).append({"path": seen.path, "box": face["box"], "score": face["score"]})
    return {
        "people": [{"name": name, "faces": faces} for name, faces in people.items()],
        "together": [{"names": list(names), "pictures": count} for names, count in pairs.most_common()],
    }


def _table(shown: dict[str, int], pairs: Counter[tuple[str, str]]) -> str:
    """The same for a person to read."""
    width = max([len(name) for name in shown] + [6])
    lines = [f"{'person':{width}}  pictures  most often with"]
    for name, count in shown.items():
        company = [(pair[pair[0] == name], times) for pair, times in pairs.most_common() if name in pair]
        text = ", ".join(f"{other} ({times})" for other, times in company[:SHOWN])
        lines.append(f"{name:{width}}  {count:8}  {text}".rstrip())
    return "\n".join(lines)
