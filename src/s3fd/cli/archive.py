"""What ``s3fd detect --output`` does: an archive of any number of pictures, in partitions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from s3fd.cli.failure import fail, needs_extra
from s3fd.cli.running import (
    INTERRUPTED,
    SOME_FAILED,
    choose_workers,
    interruptible,
    open_detector,
    open_runtime,
    print_json,
    quiet_decoders,
)

if TYPE_CHECKING:
    from s3fd.archive.manifest import Archive, Done, Recipe
    from s3fd.cli.progress import Progress

RAY = "ray"
"""The engine that is many processes, each with the engine that the weights are for."""


def detect_to_archive(
    output: str,
    paths: list[str],
    *,
    weights: str,
    threads: int | None,
    engine: str | None,
    device: str,
    precision: str,
    workers: int | None,
    batch: int,
    partition: int,
    size: str,
    min_score: float,
    min_size: float,
    attributes: tuple[str, ...],
    min_probability: float,
) -> int:
    """Make an archive or go on with one; return the exit code. The options are those of the command."""
    from s3fd.cli.progress import Progress

    with needs_extra("archive"):
        import fsspec  # noqa: F401
        import pyarrow.parquet  # noqa: F401
    spread = engine == RAY
    if spread:
        with needs_extra("ray"):
            import ray.data  # noqa: F401
        engine, at_once = None, 1  # options are checked here, where there need be no GPU
        runtime = open_runtime(weights, threads, None, "cpu" if device == "cuda" else device, precision)
    else:
        at_once = workers or choose_workers(paths, threads, size)
        runtime = open_runtime(weights, threads, engine, device, precision, at_once if batch == 1 else 1)
    detector = open_detector(runtime, size, min_score, attributes, min_probability)

    from s3fd.archive.job import make
    from s3fd.archive.manifest import ArchiveError, Recipe
    from s3fd.archive.storage import absolute
    from s3fd.inference.runtime import locate
    from s3fd.weights.digest import model_digest

    model, _ = locate(weights, engine)
    archive = _open(
        output,
        Recipe(
            paths=tuple(map(absolute, paths)),
            weights=model_digest(model),
            size=size,
            min_score=min_score,
            min_size=min_size,
            attributes=attributes,
            min_probability=min_probability,
            partition=partition,
            precision=precision,
        ),
    )
    made: Iterable[Done | None]
    if spread:
        from s3fd.archive.on_ray import Pool, make_on_ray

        everywhere = absolute(weights) if Path(weights).suffix else weights
        pool = Pool(everywhere, workers, threads or 1, device, precision, batch)
        made = make_on_ray(archive, pool)
    else:
        made = make(archive, detector, workers=at_once, batch=batch)
    with Progress(
        sys.stderr.isatty(), RAY if spread else f"{runtime.engine} on {runtime.device}"
    ) as progress:
        try:
            return _run(archive, made, progress, at_once=spread)
        except ArchiveError as error:
            fail(f"--output: {error}")


def _open(output: str, recipe: Recipe) -> Archive:
    """Open the archive, or end with what is wrong about it. Planning a new one lists all pictures."""
    from s3fd.archive.inputs import listed
    from s3fd.archive.manifest import ArchiveError, open_archive
    from s3fd.archive.storage import Folder

    try:
        return open_archive(Folder(output), recipe, listed(recipe.paths))
    except ArchiveError as error:
        fail(f"--output: {error}")
    except (FileNotFoundError, ValueError, ImportError) as error:
        fail(str(error))


def _run(archive: Archive, made: Iterable[Done | None], progress: Progress, *, at_once: bool) -> int:
    """Make what is to be made, count it, and print what is in the archive; return the exit code.

    Ctrl-C and SIGTERM end the run after the present picture, or else `at_once`: of Ray, only whole partitions
    are heard.
    """
    quiet_decoders()
    asking: AbstractContextManager[Callable[[], int]]
    asking = nullcontext(lambda: 0) if at_once else interruptible()
    stopped = 0
    try:
        with asking as interrupted, redirect_stdout(sys.stderr):  # Ray prints there what it has to say
            for done in made:
                if done is not None:
                    progress.add(done.pictures, done.faces, done.unreadable)
                if stopped := interrupted():
                    break
    except KeyboardInterrupt:
        stopped = INTERRUPTED
    if stopped:
        print("s3fd: interrupted; run the same command again to resume", file=sys.stderr)
        return stopped
    total = archive.total()
    counts = {"partitions": archive.partitions, "pictures": total.pictures, "faces": total.faces}
    record = {"archive": archive.folder.url, **counts, "unreadable": total.unreadable}
    print_json(record)
    if total.unreadable:
        print(f"s3fd: {total.unreadable} unreadable; see the `error` column for the reasons", file=sys.stderr)
    return SOME_FAILED if total.unreadable else 0
