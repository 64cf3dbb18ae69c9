"""From files to vectors: what the commands on galleries and on pairs share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.enrolment import Quality, Refusal, only_face
from s3fd.identity.own_recogniser import own_recogniser
from s3fd.identity.recogniser import Recogniser
from s3fd.inference.detector import Detector, load
from s3fd.inference.pictures import PictureError, read
from s3fd.inference.resize import Size
from s3fd.inference.runtime import open_runtime
from s3fd.inference.sources import PICTURE_SUFFIXES


@dataclass(frozen=True)
class Reader:
    """Finds faces in files and gives them vectors."""

    detector: Detector
    recogniser: Recogniser

    def every(self, path: Path) -> tuple[Faces, FloatArray]:
        """All faces of a picture, and their vectors (N, D). Raises PictureError for what cannot be read."""
        picture = read(path)
        faces = self.detector(picture)
        return faces, self.recogniser.embed(picture, faces)

    def one(self, path: Path, quality: Quality) -> FloatArray:
        """The vector (D,) of the one face of a picture.

        Raises:
            PictureError: it cannot be read.
            Refusal: it does not show one good face.
        """
        picture = read(path)
        face = only_face(picture, self.detector(picture), quality)
        vector: FloatArray = self.recogniser.embed(picture, face)[0]
        return vector

    def each(self, paths: Iterable[Path], quality: Quality) -> Iterator[tuple[Path, FloatArray | str]]:
        """The vector (D,) of the one face of each picture, or why there is none."""
        for path in paths:
            try:
                yield path, self.one(path, quality)
            except PictureError as error:
                yield path, error.reason
            except Refusal as refusal:
                yield path, str(refusal)


def default_weights(recogniser: Path | None) -> str:
    """Name of the bundled weights that go with a `recogniser`: those with an embedding if there is none."""
    return "slim-identity" if recogniser is None else "slim"


def open_reader(weights: str | None = None, recogniser: Path | None = None, size: Size = "vga") -> Reader:
    """Open a detector, and what gives its faces vectors: the model `recogniser`, or else its own embedding.

    The detector is the bundled one unless there are `weights` of another.

    Raises:
        FileNotFoundError: weights, model or card are not there.
        ValueError: one that cannot be used, and why; no `recogniser`, and weights without an embedding.
    """
    weights = weights or default_weights(recogniser)
    if recogniser is not None:
        from s3fd.identity.onnx_recogniser import open_recogniser

        return Reader(load(weights, size=size), open_recogniser(recogniser))
    runtime = open_runtime(weights)
    own = own_recogniser(runtime, weights)
    return Reader(Detector(runtime, size=size, embeddings=True), own)


def people_in(path: Path, name: str | None = None) -> list[tuple[str, list[Path]]]:
    """Names and the pictures of each: of the folders in `path`, or of `path` itself as that of `name`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: no `name`, and no folder a person.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if name is not None:
        return [(name, pictures_in(path) if path.is_dir() else [path])]
    people = [(folder.name, pictures_in(folder)) for folder in folders_in(path)] if path.is_dir() else []
    if not people:
        raise ValueError(f"{path}: has no folder a person; whose it is itself, --name says")
    return people


def pictures_in(folder: Path) -> list[Path]:
    """Pictures right in a folder, sorted by name, without what is hidden."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def folders_in(folder: Path) -> list[Path]:
    """Folders right in a folder, one a person, sorted by name, without what is hidden."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
