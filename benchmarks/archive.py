"""Measure how fast one machine's engine and Ray make archives, and extrapolate to a billion pictures.

Run: python benchmarks/archive.py

Three ways take turns at pictures of 1024 × 768 pixels, made from the example photograph:
`s3fd.archive.job.make` in one thread, and `make_on_ray` with one and with two processes of one thread.
Start-up does not count: a run is timed from its first complete partition to its last. Clock time is
meaningful only on a quiet machine. Processor time, of the processes that hold a detector, is meaningful on a
busy one too.

The table for a billion pictures multiplies what was measured. Prices and numbers of machines, which were not
measured, are options. Their defaults are round figures of the order of public clouds' list prices.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import pyarrow.dataset
from documents import put
from throughput import made

from s3fd.archive.inputs import listed
from s3fd.archive.job import make
from s3fd.archive.manifest import PARTITION, Archive, Done, Recipe, open_archive
from s3fd.archive.on_ray import OBJECT_STORE, Pool, make_on_ray
from s3fd.archive.rows import to_parquet
from s3fd.archive.storage import Folder
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import locate, open_runtime
from s3fd.weights.digest import model_digest

WAYS = ("one thread, without Ray", "Ray, 1 process", "Ray, 2 processes")
TICK = os.sysconf("SC_CLK_TCK")
BILLION = 10**9


@dataclass(frozen=True)
class Rate:
    """Pictures of a run after its first complete partition, and the clock and processor seconds they took."""

    pictures: int
    clock: float
    busy: float


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--partition", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--processors", type=int, default=16, help="processors per machine")
    parser.add_argument("--hour", type=float, default=0.04, help="dollars per processor hour")
    parser.add_argument("--request", type=float, default=0.4e-6, help="dollars per file read from a store")
    parser.add_argument("--month", type=float, default=0.023, help="dollars per gigabyte and month")
    parser.add_argument("--docs", action="store_true", help="write the tables into the documentation")
    options = parser.parse_args()

    # Give Ray's workers this process's niceness, and Ray the time that it takes to start on a busy machine.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "300"}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    cv2.setNumThreads(1)
    detector = Detector(open_runtime(options.weights, 1))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=OBJECT_STORE)
    rates: dict[str, list[Rate]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "photos"
        folder.mkdir()
        for i in range(options.pictures):
            cv2.imwrite(str(folder / f"{i:05d}.jpg"), made(i))
        each = sum(file.stat().st_size for file in folder.iterdir()) / options.pictures
        model, _ = locate(options.weights, None)
        recipe = Recipe((str(folder),), model_digest(model), partition=options.partition)
        for turn in range(options.rounds):
            for processes, way in enumerate(WAYS):
                archive = open_archive(Folder(f"{home}/{turn}{processes}"), recipe, listed(recipe.paths))
                if processes:
                    pool = Pool(options.weights, processes)
                    rates[way].append(measure(make_on_ray(archive, pool), ray_seconds))
                else:
                    rates[way].append(measure(make(archive, detector, workers=1), time.process_time))
        kept = bytes_kept(archive)
    ray.shutdown()
    tables = {
        "rates": rate_table(rates),
        "a billion": billion_table(rates[WAYS[1]], each, kept, options),
    }
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    for name, lines in tables.items():
        print("\n".join(lines), end="\n\n")
        if options.docs:
            put("docs/archives.md", f"benchmarks/archive.py: {name}", "\n".join(lines))


def measure(run: Iterable[Done | None], seconds: Callable[[], float]) -> Rate:
    """Run to the end and measure everything after the first partition."""
    complete = []
    for done in run:
        if done is not None:
            complete.append((done.pictures, time.perf_counter(), seconds()))
    pictures = sum(count for count, _, _ in complete[1:])
    return Rate(pictures, complete[-1][1] - complete[0][1], complete[-1][2] - complete[0][2])


def bytes_kept(archive: Archive) -> float:
    """Return the bytes that one more picture adds to an archive: its row in a larger file, and its name."""
    names = [name for number in range(archive.partitions) for name in archive.inputs(number)]
    rows = pyarrow.dataset.dataset(archive.folder.url).to_table().to_pylist()
    whole, one = len(to_parquet(rows)), len(to_parquet(rows[:1]))
    return (whole - one) / (len(rows) - 1) + sum(len(f'  "{name}",\n') for name in names) / len(names)


def ray_seconds() -> float:
    """Return the processor seconds so far of Ray's processes on this machine that hold a detector."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_text(encoding="utf-8", errors="replace")
            if title.startswith("ray::") and "Worker(" in title:
                ticks += sum(map(int, (path / "stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:  # the process has ended meanwhile
            continue
    return ticks / TICK


def rate_table(rates: dict[str, list[Rate]]) -> list[str]:
    """Format the rates by clock and processor time, and their ratios to the first way within a round."""
    lines = [
        "| | pictures/s | to the first | processor time a picture, ms | to the first |",
        "|---|---:|---:|---:|---:|",
    ]
    first = rates[WAYS[0]]
    for way, mine in rates.items():
        clock = statistics.median(rate.pictures / rate.clock for rate in mine)
        faster = median_ratio(mine, first, lambda rate: rate.pictures / rate.clock)
        busy = statistics.median(rate.busy / rate.pictures for rate in mine) * 1e3
        more = median_ratio(mine, first, lambda rate: rate.busy / rate.pictures)
        lines.append(f"| {way} | {clock:.1f} | {faster:.2f} | {busy:.1f} | {more:.2f} |")
    return lines


def median_ratio(mine: Sequence[Rate], first: Sequence[Rate], of: Callable[[Rate], float]) -> float:
    """Return the median over rounds of the ratio of one way's figure to another's."""
    return statistics.median(of(a) / of(b) for a, b in zip(mine, first, strict=True))


def billion_table(rates: list[Rate], each: float, kept: float, options: argparse.Namespace) -> list[str]:
    """Format what a billion pictures take if each has `each` bytes and adds `kept` bytes to the archive."""
    busy = statistics.median(rate.busy / rate.pictures for rate in rates)
    hours = BILLION * busy / 3600
    machines, processors = options.machines, options.machines * options.processors
    bits = processors / busy * each * 8 / 1e9
    stored = BILLION * kept / 1e9
    rows = [
        ("processor time", f"{hours:,.0f} hours", f"{busy * 1e3:.1f} ms a picture, measured"),
        ("clock time", f"{hours / processors:.1f} hours", f"{machines} × {options.processors} processors"),
        ("processors", f"${hours * options.hour:,.0f}", f"${options.hour:g} each an hour"),
        (
            "requests",
            f"${BILLION * options.request:,.0f}",
            f"${options.request * 1e6:g} a million files read",
        ),
        ("read", f"{BILLION * each / 1e12:,.0f} TB", f"{each / 1e3:,.0f} kB a picture, these"),
        ("network", f"{bits:,.0f} Gbit/s", f"{bits / machines:.2f} Gbit/s a machine, all the time"),
        ("archive", f"{stored:,.0f} GB", f"{kept:,.0f} bytes a picture, manifest included, measured"),
        ("keeping it", f"${stored * options.month:,.0f} a month", f"${options.month:g} a gigabyte"),
        ("files", f"{3 * BILLION // PARTITION:,}", f"three for each {PARTITION:,} pictures"),
        ("lost with a process", f"{PARTITION * busy / 60:.1f} minutes", "at most: the partition under way"),
    ]
    return ["| a billion pictures | | from |", "|---|---:|---|", *(f"| {' | '.join(row)} |" for row in rows)]


if __name__ == "__main__":
    main()
