"""The whole way from pictures to come to their records, with what is drawn on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from s3fd.faces import Faces
from s3fd.inference import draw, pictures
from s3fd.inference.anonymize import Style
from s3fd.inference.anonymize import anonymize as hide
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Picture, PictureError
from s3fd.inference.records import Record
from s3fd.inference.sources import Source
from s3fd.inference.threads import ahead
from s3fd.video.job import anonymize_video


@dataclass(frozen=True)
class Outputs:
    """Folders for pictures; None for none.

    Attributes:
        copies: for annotated copies.
        crops: for the faces cut out.
    """

    copies: Path | None = None
    crops: Path | None = None


def detect(
    detector: Detector, sources: Iterable[Source], *, min_size: float = 0.0, outputs: Outputs | None = None
) -> Iterator[Record]:
    """Find the faces of every source, in order; the next picture is decoded meanwhile in a thread.

    Faces whose shorter side has fewer than `min_size` pixels are left out.

    Raises:
        OSError: something cannot be written to `outputs`.
    """
    for source, picture in ahead(_prepared(detector, sources)):
        if not isinstance(picture, Picture):
            yield Record(source.path, error=picture, frame=source.frame, time=source.time)
            continue
        faces = detector.find(picture).filter(min_size=min_size)
        if outputs is not None:
            _write_pictures(source, faces, outputs)
        yield Record(source.path, faces, picture.width, picture.height, frame=source.frame, time=source.time)


def anonymize(
    detector: Detector,
    sources: Iterable[Source],
    folder: Path,
    style: Style,
    *,
    every: int = 1,
    sound: bool = True,
) -> Iterator[Record | None]:
    """Write a copy of every source with its faces made unrecognisable, in order, as `detect` goes.

    Copies have the names of annotated ones. They hold pixels alone, so that no EXIF block with a place or a
    small copy of the original remains. Of what cannot be read nothing is written; nor is a copy that would
    replace its own picture. Whole videos become videos, with their sound if `sound`; `every` says of how many
    frames one is looked at, and None comes after each frame, so that whoever waits can stop.

    Raises:
        OSError: something cannot be written to `folder`.
    """
    for source, picture in ahead(_prepared(detector, sources)):
        if source.video:
            yield from anonymize_video(source, folder, detector, style, every=every, sound=sound)
            continue
        if not isinstance(picture, Picture):
            yield Record(source.path, error=picture, frame=source.frame, time=source.time)
            continue
        copy = folder / draw.copy_name(source.relative, max(picture.width, picture.height))
        if source.pixels is None and copy.exists() and copy.samefile(source.path):
            yield Record(source.path, error=f"{copy} is the picture itself: it is left as it is")
            continue
        faces = detector.find(picture)
        whole = picture.pixels.shape[:2] == (picture.height, picture.width)
        pixels = picture.pixels if whole else pictures.read(source.path)
        draw.save(hide(pixels, faces.boxes, style), copy)
        yield Record(
            source.path,
            faces,
            picture.width,
            picture.height,
            frame=source.frame,
            time=source.time,
            out=str(copy),
        )


def _prepared(detector: Detector, sources: Iterable[Source]) -> Iterator[tuple[Source, Picture | str | None]]:
    """Decode each source, or say why it cannot be; whole videos are left alone."""
    for source in sources:
        if source.video:
            yield source, None
            continue
        if source.error is not None:
            yield source, source.error
            continue
        try:
            yield source, detector.prepare(source.path if source.pixels is None else source.pixels)
        except PictureError as error:
            yield source, error.reason


def _write_pictures(source: Source, faces: Faces, outputs: Outputs) -> None:
    """Write a source's annotated copy and cut-outs, from its full-size picture.

    The picture is decoded once more: the network's own copy may be reduced, and its size must not decide what
    the network finds.
    """
    if outputs.copies is None and (outputs.crops is None or not len(faces)):
        return
    pixels = pictures.read(source.path) if source.pixels is None else source.pixels
    if outputs.copies is not None:
        copy = outputs.copies / draw.copy_name(source.relative, max(pixels.shape))
        draw.save(draw.draw(pixels, faces), copy)
    if outputs.crops is not None:
        for i, face in enumerate(draw.crop(pixels, faces)):
            draw.save(face, outputs.crops / draw.crop_name(source.relative, i))
