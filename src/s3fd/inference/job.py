"""The whole process from a stream of pictures to their records and output pictures.

One thread decodes a picture, runs the network on it, draws and writes; several threads each have a picture of
their own. So decoding, the network and drawing overlap, and no thread waits for another.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from s3fd.faces import Faces
from s3fd.inference import draw, pictures
from s3fd.inference.anonymize import Style
from s3fd.inference.anonymize import anonymize as hide
from s3fd.inference.batches import Shape, in_batches
from s3fd.inference.detector import Detector, needed
from s3fd.inference.memory import together_or_alone
from s3fd.inference.pictures import Picture, PictureError, Pixels
from s3fd.inference.records import Record
from s3fd.inference.sources import Source
from s3fd.inference.threads import in_order


@dataclass(frozen=True)
class Outputs:
    """Folders for output pictures; with None, such pictures are not written.

    Attributes:
        copies: for annotated copies.
        crops: for cut-out faces.
    """

    copies: Path | None = None
    crops: Path | None = None


def detect(
    detector: Detector,
    sources: Iterable[Source],
    *,
    min_size: float = 0.0,
    outputs: Outputs | None = None,
    workers: int = 2,
    batch: int = 1,
) -> Iterator[Record]:
    """Find the faces in every source, in order.

    Args:
        detector: its network runs in `workers` threads at a time; see the `streams` of `open_runtime`.
        sources: any number of sources; only a few are taken at a time.
        min_size: faces whose shorter side has fewer pixels are left out.
        outputs: where pictures are written.
        workers: number of pictures processed at the same time.
        batch: number of pictures of the same size that share a pass (`s3fd.inference.batches`). Over 1,
            passes run one at a time, and the workers decode before them and draw after them.

    Raises:
        OSError: something cannot be written to `outputs`.
        ValueError: `workers` or `batch` under 1.
    """
    outputs = outputs or Outputs()
    if batch == 1:
        return in_order(partial(_detect, detector, min_size, outputs), sources, workers)
    prepared = in_order(partial(_prepare_fitted, detector), sources, workers)
    found = in_batches(partial(_find_each, detector), prepared, partial(_shape, detector), batch)
    return in_order(partial(_finish, min_size, outputs), found, workers)


def anonymize(
    detector: Detector,
    sources: Iterable[Source],
    folder: Path,
    style: Style,
    *,
    every: int = 1,
    sound: bool = True,
    workers: int = 2,
) -> Iterator[Record | None]:
    """Write a copy of every source with its faces made unrecognisable, in order, as `detect` does.

    Copies are named like annotated ones. They hold only pixels, so no EXIF block with a place or a small copy
    of the original remains. Nothing is written for a source that cannot be read, or where the copy would
    replace the picture itself. Whole videos become videos, with their sound if `sound` is set. The network
    sees one in `every` frames of a video, and None is yielded after each frame, so that the caller can stop.

    Raises:
        OSError: something cannot be written to `folder`.
    """
    for video, run in groupby(sources, key=lambda source: source.video):
        if video:
            from s3fd.video.job import anonymize_video  # late: pictures do not need the modules on videos

            for source in run:
                yield from anonymize_video(source, folder, detector, style, every=every, sound=sound)
        else:
            yield from in_order(partial(_anonymize, detector, folder, style), run, workers)


def _detect(detector: Detector, min_size: float, outputs: Outputs, source: Source) -> Record:
    """Decode a source, find its faces, and write its output pictures."""
    (found,) = _find_each(detector, [(source, _prepare(detector, source))])
    return _finish(min_size, outputs, found)


def _anonymize(detector: Detector, folder: Path, style: Style, source: Source) -> Record:
    """Decode a source, find its faces, and write a copy with them hidden."""
    picture = _prepare(detector, source)
    if isinstance(picture, str):
        return _failure(source, picture)
    copy = folder / draw.copy_name(source.relative, max(picture.width, picture.height))
    reason = source.in_the_way(copy, folder)
    if reason is not None:
        return _failure(source, reason)
    try:
        faces = detector.find(picture)
        _save(hide(_whole(source, picture), faces.boxes, style), copy)
    except PictureError as error:
        return _failure(source, error.reason)
    except MemoryError as error:
        return _failure(source, str(error))
    return _success(source, picture, faces, out=str(copy))


Found = tuple[Source, Picture | str, Faces | None]
"""A source, the decoded picture and its faces; or the source, why it cannot be decoded, and None."""


def _prepare(detector: Detector, source: Source) -> Picture | str:
    """Decode a source, or return the reason why it cannot be decoded."""
    if source.error is not None:
        return source.error
    try:
        if source.data is not None:
            return pictures.load(source.data, needed(detector.size))
        return detector.prepare(source.path if source.pixels is None else source.pixels)
    except PictureError as error:
        return error.reason


def _prepare_fitted(detector: Detector, source: Source) -> tuple[Source, Picture | str]:
    """Decode a source and resize it to what the network sees, or return the reason why that fails."""
    picture = _prepare(detector, source)
    return source, picture if isinstance(picture, str) else detector.fit(picture)


def _shape(detector: Detector, prepared: tuple[Source, Picture | str]) -> Shape | None:
    """Size at which the network sees a picture; None for one that is run alone, or not at all."""
    _, picture = prepared
    return None if isinstance(picture, str) else detector.seen(picture)


def _find_each(detector: Detector, group: list[tuple[Source, Picture | str]]) -> list[Found]:
    """Find the faces in decoded pictures of the same shape; undecodable sources are passed through."""

    def find(group: Sequence[tuple[Source, Picture | str]]) -> list[Found]:
        faces = iter(detector.find_many([picture for _, picture in group if isinstance(picture, Picture)]))
        return [(source, it, next(faces) if isinstance(it, Picture) else None) for source, it in group]

    return together_or_alone(find, group, lambda one, reason: (one[0], reason, None))


def _finish(min_size: float, outputs: Outputs, found: Found) -> Record:
    """Leave small faces out, write the output pictures, and return the record."""
    source, picture, faces = found
    if isinstance(picture, str) or faces is None:
        return _failure(source, str(picture))
    faces = faces.filter(min_size=min_size)
    try:
        _write_pictures(source, picture, faces, outputs)
    except PictureError as error:  # when it is decoded again, or when a copy is written
        return _failure(source, error.reason)
    return _success(source, picture, faces)


def _failure(source: Source, reason: str) -> Record:
    """The record of a source that cannot be read."""
    return Record(source.path, error=reason, frame=source.frame, time=source.time)


def _success(source: Source, picture: Picture, faces: Faces, out: str | None = None) -> Record:
    """The record of a source's faces, and of the copy that was written."""
    return Record(
        source.path, faces, picture.width, picture.height, frame=source.frame, time=source.time, out=out
    )


def _write_pictures(source: Source, picture: Picture, faces: Faces, outputs: Outputs) -> None:
    """Write a source's annotated copy and cut-outs, from its full-size picture."""
    if outputs.copies is None and (outputs.crops is None or not len(faces)):
        return
    pixels = _whole(source, picture)
    if outputs.copies is not None:
        copy = outputs.copies / draw.copy_name(source.relative, max(pixels.shape))
        reason = source.in_the_way(copy, outputs.copies)
        if reason is not None:
            raise PictureError(source.path, reason)
        _save(draw.draw(pixels, faces), copy)
    if outputs.crops is not None:
        for i, face in enumerate(draw.crop(pixels, faces)):
            _save(face, outputs.crops / draw.crop_name(source.relative, i))


def _save(pixels: Pixels, path: Path) -> None:
    """Write an output picture; raises PictureError if its name, longer than the source's, is too long."""
    with _nameable(path):
        draw.save(pixels, path)


@contextmanager
def _nameable(path: Path) -> Iterator[None]:
    """Turn the error for a name that is too long, which concerns only one picture, into PictureError."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise PictureError(str(path), "the name of the output file would be too long") from error


def _whole(source: Source, picture: Picture) -> Pixels:
    """The full-size picture.

    It is decoded again if it was decoded at a reduced size for the network: drawing must not change what the
    network finds.
    """
    if source.pixels is not None:
        return source.pixels
    if picture.pixels.shape[:2] == (picture.height, picture.width):
        return picture.pixels
    return pictures.read(source.path if source.data is None else source.data)
