"""Face vectors from picture files, shared by the commands for galleries and for verification pairs."""

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
    """Detects faces in files and computes their vectors."""

    detector: Detector
    recogniser: Recogniser

    def every(self, path: Path) -> tuple[Faces, FloatArray]:
        """Return a picture's faces and their vectors (N, D). Raises PictureError if it is unreadable."""
        picture = read(path)
        faces = self.detector(picture)
        return faces, self.recogniser.embed(picture, faces)

    def one(self, path: Path, quality: Quality) -> FloatArray:
        """Return the vector (D,) of the only face in a picture.

        Raises:
            PictureError: the file cannot be read.
            Refusal: the picture does not show exactly one face of sufficient quality.
        """
        picture = read(path)
        face = only_face(picture, self.detector(picture), quality)
        vector: FloatArray = self.recogniser.embed(picture, face)[0]
        return vector

    def each(self, paths: Iterable[Path], quality: Quality) -> Iterator[tuple[Path, FloatArray | str]]:
        """Yield each path with the vector (D,) of its only face, or with the reason why there is none."""
        for path in paths:
            try:
                yield path, self.one(path, quality)
            except PictureError as error:
                yield path, error.reason
            except Refusal as refusal:
                yield path, str(refusal)


def default_weights(recogniser: Path | None) -> str:
    """Return the name of the default bundled weights: with an embedding unless there is a `recogniser`."""
    return "slim-identity" if recogniser is None else "slim"


def open_reader(weights: str | None = None, recogniser: Path | None = None, size: Size = "vga") -> Reader:
    """Open a detector and a recogniser: the model at `recogniser`, or else the detector's own embedding.

    Without `weights`, the bundled ones of `default_weights` are used.

    Raises:
        FileNotFoundError: the weights, the model or its card do not exist.
        ValueError: one of them cannot be used (the message says why), or there is no `recogniser` and the
            weights have no embedding.
    """
    weights = weights or default_weights(recogniser)
    if recogniser is not None:
        from s3fd.identity.onnx_recogniser import open_recogniser

        return Reader(load(weights, size=size), open_recogniser(recogniser))
    runtime = open_runtime(weights)
    own = own_recogniser(runtime, weights)
    return Reader(Detector(runtime, size=size, embeddings=True), own)


def people_in(path: Path, name: str | None = None) -> list[tuple[str, list[Path]]]:
    """List people with their pictures.

    With a `name`, `path` is a picture of that person or a folder of them. Without one, each folder in `path`
    holds the pictures of the person it is named after.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no `name`, and `path` contains no folders.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if name is not None:
        return [(name, pictures_in(path) if path.is_dir() else [path])]
    people = [(folder.name, pictures_in(folder)) for folder in folders_in(path)] if path.is_dir() else []
    if not people:
        raise ValueError(
            f"{path}: must contain one folder per person, or use `s3fd gallery add --name` for one person"
        )
    return people


def pictures_in(folder: Path) -> list[Path]:
    """List the pictures directly in a folder, sorted by name, without hidden files."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def folders_in(folder: Path) -> list[Path]:
    """List the folders directly in a folder (one per person), sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
