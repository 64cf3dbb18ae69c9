"""Make the partitions of an archive in many processes, on this machine or on a cluster, with Ray Data.

Only the partitions' numbers and their counts go through Ray. Every worker reads its pictures from the source
and writes its partitions to the archive's folder (`s3fd.archive.job`). No picture or row is therefore sent
over the network twice, and Ray's object store holds nothing large. If a worker or its machine dies, Ray
assigns its partitions to another worker, which skips those that are already complete. A partition whose
worker dies each time is left out.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from s3fd.archive.job import make_partition
from s3fd.archive.manifest import Archive, ArchiveError, Done, part
from s3fd.counted import counted
from s3fd.inference.detector import Detector
from s3fd.inference.resize import parse_size
from s3fd.inference.runtime import locate, open_runtime
from s3fd.weights.digest import model_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ADDRESS = "RAY_ADDRESS"
"""Environment variable with the address of the cluster; without it, Ray is started on this machine."""

OBJECT_STORE = 100 * 2**20
"""Size of Ray's object store on this machine, in bytes; Ray's own default is a third of all memory."""

TRIES = 4
"""How often a partition is begun at most. A picture may end its process each time, and Ray tries for ever."""


@dataclass(frozen=True)
class Pool:
    """The processes that make partitions.

    Attributes:
        weights: name of a bundled model, or a path to the same file on every machine.
        workers: maximum number of processes; None for as many as the cluster's CPUs or GPUs allow.
        threads: CPUs per process.
        device: ``auto`` or ``cpu``; or ``cuda``, with one GPU per process.
        precision: as for `s3fd.inference.runtime.open_runtime`.
        batch: number of pictures of the same size that share a forward pass.
    """

    weights: str
    workers: int | None = None
    threads: int = 1
    device: str = "auto"
    precision: str = "fp32"
    batch: int = 1


class Tries:
    """A Ray actor that counts how often each partition was begun."""

    def __init__(self) -> None:
        """Start with none."""
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> bool:
        """Count one more; return whether the partition may be tried this time."""
        self._begun[number] += 1
        return self._begun[number] <= TRIES


class Worker:
    """A Ray actor that holds a detector and makes the partitions assigned to it."""

    def __init__(self, archive: Archive, pool: Pool, tries: Any = None) -> None:
        """Prepare the worker; the detector is opened with the first partition, and kept.

        `tries` is the run's actor `Tries`; None allows any number.
        """
        self._archive, self._pool, self._tries = archive, pool, tries
        self._detector: Detector | None = None

    def __call__(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, list[Any]]:
        """Make the partitions with these numbers, and return the counts or the failure of each."""
        made = [self._try(int(number)) for number in batch["number"]]
        return {key: [each[key] for each in made] for key in made[0]}

    def _try(self, number: int) -> dict[str, Any]:
        """Make one partition. Return a failure as a result, since Ray would wrap and retry an exception."""
        if self._tries is not None and not _answer(self._tries.begin.remote(number)):
            return asdict(Done()) | {"failure": "", "left_out": True}
        try:
            return asdict(self._make(number)) | {"failure": "", "left_out": False}
        except (OSError, ValueError, ImportError) as error:
            return asdict(Done()) | {"failure": str(error) or type(error).__name__, "left_out": False}

    def _make(self, number: int) -> Done:
        """Make one partition, unless a worker completed it before it died."""
        if (done := self._archive.done(number)) is not None and number not in self._archive.pending():
            return done
        self._detector = self._detector or self._open()
        made = make_partition(
            self._archive, number, self._detector, workers=self._pool.threads, batch=self._pool.batch
        )
        return next(done for done in made if done is not None)

    def _open(self) -> Detector:
        """Open the detector of the archive's recipe."""
        import cv2

        pool, recipe = self._pool, self._archive.recipe
        cv2.setNumThreads(1)
        path, _ = locate(pool.weights, None)
        if model_digest(path) != recipe.weights:
            raise ArchiveError(f"{path} is a different model on this machine")
        streams = pool.threads if pool.batch == 1 else 1
        runtime = open_runtime(
            path, pool.threads, device=pool.device, precision=pool.precision, streams=streams
        )
        return Detector(
            runtime,
            size=parse_size(recipe.size),
            min_score=recipe.min_score,
            attributes=recipe.attributes,
            min_probability=recipe.min_probability,
        )


def make_on_ray(archive: Archive, pool: Pool) -> Iterator[Done]:
    """Make every partition that is not complete, in any order, and yield the counts of each.

    Raises:
        ImportError: Ray is missing.
        OSError: a worker failed, partitions were left out after `TRIES`, or Ray does not answer. Complete
            partitions are kept.
    """
    pending = archive.pending()
    if not pending:
        return
    with _connected(), _told():
        import ray
        import ray.data

        gpus = 1 if pool.device == "cuda" else 0
        free = ray.cluster_resources()
        there = int(free.get("GPU", 0)) if gpus else int(free.get("CPU", 1)) // pool.threads
        workers = min(pool.workers or max(1, there), len(pending))
        # One block per partition: the unit that is retried if a worker dies, with one result row each.
        numbers = ray.data.from_items(
            [{"number": number} for number in pending], override_num_blocks=len(pending)
        )
        # If its node dies, it starts again and counts from 0.
        tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()
        made = numbers.map_batches(
            Worker,
            fn_constructor_args=(archive, pool, tries),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            num_cpus=pool.threads,
            num_gpus=gpus,
        )
        left_out = 0
        for row in made.iter_rows():
            if row["failure"]:
                raise OSError(row["failure"])
            if row["left_out"]:
                left_out += 1
            else:
                yield Done(row["pictures"], row["faces"], row["unreadable"])
    if left_out and (left := archive.pending()):
        names = archive.inputs(left[0])
        raise OSError(
            f"left out {counted(left_out, 'partition')} after {TRIES} tries, each of which ended its "
            f"process. The first is {part(left[0])}, {names[0]} to {names[-1]}. Repeat the command with "
            "fewer --workers, or without Ray."
        )


def _answer(reference: Any) -> Any:
    """Wait for the answer of a Ray actor."""
    import ray

    return ray.get(reference)


@contextmanager
def _connected() -> Iterator[None]:
    """Connect to the cluster at `ADDRESS`, or to one on this machine that ends with this context."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send no usage statistics
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors that end a run are raised
    import ray
    import ray.data

    before = ray.is_initialized()
    if not before:
        address = os.environ.get(ADDRESS, "local")
        own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE} if address == "local" else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # ray.init raises a plain Exception if Ray does not start in time
            raise OSError(f"Ray at {address} does not answer: {error}") from error
    context: Any = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        if not before:
            ray.shutdown()


@contextmanager
def _told() -> Iterator[None]:
    """Convert Ray's errors, such as when no worker is available any more, to OSError."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayError as error:
        raise OSError(f"Ray: {str(error).strip().splitlines()[-1]}") from error
