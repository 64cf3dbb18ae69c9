"""Make the pending partitions of an archive on this machine, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from s3fd.archive.inputs import fetched
from s3fd.archive.manifest import Archive, Done
from s3fd.archive.rows import row
from s3fd.inference.detector import Detector
from s3fd.inference.job import detect


def make(archive: Archive, detector: Detector, *, workers: int = 2, batch: int = 1) -> Iterator[Done | None]:
    """Make every partition that is not complete, and yield the counts of each.

    None is yielded after each picture, so that the caller can stop. The unfinished partition is then
    abandoned.

    Args:
        archive: an open archive.
        detector: its network runs in `workers` threads at a time, as for `s3fd.inference.job.detect`.
        workers: number of pictures processed at the same time.
        batch: number of pictures of the same size that share a forward pass.

    Raises:
        OSError: the storage does not answer or cannot be written to. Complete partitions are kept.
    """
    for number in archive.pending():
        yield from make_partition(archive, number, detector, workers=workers, batch=batch)


def make_partition(
    archive: Archive, number: int, detector: Detector, *, workers: int = 2, batch: int = 1
) -> Iterator[Done | None]:
    """Make one partition: yield None after each picture, and finally the counts of the partition.

    Raises as `make` does.
    """
    names, recipe = archive.inputs(number), archive.recipe
    pictures = fetched(names, recipe.paths)
    records = detect(detector, pictures, min_size=recipe.min_size, workers=workers, batch=batch)
    rows = []
    for _, record in zip(names, records, strict=True):  # one row per name, or no partition
        rows.append(row(record))
        yield None
    yield archive.commit(number, rows)
