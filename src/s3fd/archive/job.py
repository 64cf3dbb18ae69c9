"""The partitions of an archive that are still to be made, made on this machine one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from s3fd.archive.inputs import fetched
from s3fd.archive.manifest import Archive, Done
from s3fd.archive.rows import row
from s3fd.inference.detector import Detector
from s3fd.inference.job import detect


def make(archive: Archive, detector: Detector, *, workers: int = 2, batch: int = 1) -> Iterator[Done | None]:
    """Make every partition that is not complete, and yield what is in each.

    None comes after each picture, so that whoever waits can stop; the partition under way is then left.

    Args:
        archive: opened.
        detector: its network runs in `workers` threads at a time, as for `s3fd.inference.job.detect`.
        workers: pictures at work at the same time.
        batch: pictures of one size that share a pass.

    Raises:
        OSError: the storage does not answer, or cannot be written to; complete partitions stay.
    """
    for number in archive.pending():
        yield from make_partition(archive, number, detector, workers=workers, batch=batch)


def make_partition(
    archive: Archive, number: int, detector: Detector, *, workers: int = 2, batch: int = 1
) -> Iterator[Done | None]:
    """Make one partition: None after each picture, and at last what is in it.

    Raises as `make` does.
    """
    names = archive.inputs(number)
    records = detect(detector, fetched(names), min_size=archive.recipe.min_size, workers=workers, batch=batch)
    rows = []
    for _, record in zip(names, records, strict=True):  # a row a name, or no partition
        rows.append(row(record))
        yield None
    yield archive.commit(number, rows)
