"""From an upload to its record: the same as on the command line, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL.Image import DecompressionBombError

from s3fd.inference import pictures
from s3fd.inference.attribute_names import split_names
from s3fd.inference.detector import Detector, needed
from s3fd.inference.pictures import Picture, PictureError
from s3fd.inference.records import Record
from s3fd.inference.resize import network_size, parse_size
from s3fd.serving.bodies import Upload
from s3fd.serving.passes import Passes
from s3fd.serving.problems import Problem
from s3fd.serving.settings import FORMATS, Limits

MAX_SCANS = 200
"""Maximum scans of a JPEG. A progressive one has about ten; thousands in a small file would keep a worker
busy for hours."""

START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Found:
    """Result for one upload.

    Attributes:
        record: the same as from `s3fd detect`; its path is the upload's name.
        status: HTTP status of a response about this picture alone.
    """

    record: Record
    status: int = 200

    @property
    def good(self) -> bool:
        """Whether the record has faces, and not an error."""
        return self.record.error is None


def find(passes: Passes, detector: Detector, limits: Limits, min_size: float, upload: Upload) -> Found:
    """Find the faces in an upload; an error goes into the record and is not raised."""
    name = upload.name or ""
    try:
        return Found(_find(passes, detector, limits, min_size, name, bytes(upload.data)))
    except Problem as problem:
        return Found(Record(name, error=problem.detail), problem.status)
    except PictureError as error:
        return Found(Record(name, error=error.reason), 422)


def refuse_alone(found: Sequence[Found]) -> None:
    """Raise a `Problem` if the only picture of a request failed: then, the request fails."""
    if len(found) == 1 and not found[0].good:
        raise Problem(found[0].status, str(found[0].record.error))


def with_options(
    detector: Detector, size: str, min_score: float, attributes: str | None, min_probability: float
) -> Detector:
    """Return a detector with a request's options; raises a `Problem` with status 422 for invalid ones."""
    try:
        return replace(
            detector,
            size=parse_size(size),
            min_score=min_score,
            attributes=split_names([attributes or ""]),
            min_probability=min_probability,
        )
    except ValueError as error:
        raise Problem(422, str(error)) from error


def decode(detector: Detector, limits: Limits, data: bytes, *, full: bool = False) -> Picture:
    """Check that a picture does no harm, then decode it in full, or as far as the detector needs it.

    Raises:
        PictureError: the picture is damaged.
        Problem: with status 413 (too many pixels, or a side that is too long), 415 (not a picture in an
            accepted format) or 422 (too many scans).
    """
    try:
        header = pictures.header(data, formats=FORMATS)
    except PictureError as error:
        if isinstance(error.__cause__, DecompressionBombError):  # more than Pillow opens at all
            raise Problem(413, f"over the limit of {limits.pixels:,} pixels") from error
        known = ", ".join(FORMATS)
        raise Problem(415, f"{error.reason} ({known})") from error
    width, height = header.width, header.height
    if width * height > limits.pixels:
        raise Problem(413, f"{width} × {height} pixels are over the limit of {limits.pixels:,}")
    if max(width, height) > limits.side:
        raise Problem(413, f"{width} × {height} pixels: a side is over the limit of {limits.side:,}")
    if detector.size != "auto":
        seen = network_size(width, height, detector.size)
        if seen[0] * seen[1] > limits.seen:
            most = f"{limits.seen:,} pixels"
            raise Problem(
                413,
                f"the network would process more than {most} at once: use size=auto to process it in tiles",
            )
    if header.format in ("JPEG", "MPO", "TIFF") and data.count(START_OF_SCAN) > MAX_SCANS:
        raise Problem(422, f"more than {MAX_SCANS} scans")
    return pictures.load(data, None if full else needed(detector.size), formats=FORMATS)


def _find(
    passes: Passes, detector: Detector, limits: Limits, min_size: float, name: str, data: bytes
) -> Record:
    picture = decode(detector, limits, data)
    faces = passes.find(detector, picture).filter(min_size=min_size)
    return Record(name, faces, picture.width, picture.height)
