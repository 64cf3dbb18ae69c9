"""Measure the rate of a folder, the gain from batches, the time of each stage, and how soon a run starts.

Run: python benchmarks/throughput.py [FOLDER]

FOLDER holds JPEG files. Without it, pictures of 1024 × 768 pixels are made from the example photograph. Clock
time is meaningful only on a quiet machine. Processor time is meaningful on a busy one too.

The stages, and the network alone in the table of rates, take one pass per picture. At `vga`, `s3fd detect`
sees pictures smaller than 640 pixels at several scales: use pictures of 640 pixels or more for both tables.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from documents import put

from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Picture, Pixels
from s3fd.inference.postprocess import select
from s3fd.inference.resize import network_size, resize
from s3fd.inference.runtime import open_runtime, processors

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
TABLES = ("stages", "rates", "batches", "starts")
BATCHES = (1, 2, 4, 8, 16, 32)
OWN = "the network, a thread a picture"
"""Title of the network's own rate, in which nothing waits for anything."""

IMPORTS = "import numpy, cv2, onnxruntime"
"""What every program that detects has to import; other start-up times are compared with it."""

EMPTY = "import typer\ndef empty(): pass\ntyper.run(empty)"
"""The smallest program with typer's help."""

COLD = {
    "python -c pass": ["-c", "pass"],
    "import typer": ["-c", "import typer"],
    "an empty program of typer --help": ["-c", EMPTY, "--help"],
    IMPORTS: ["-c", IMPORTS],
    "s3fd --help": ["-m", "s3fd", "--help"],
    "s3fd detect one.jpg": ["-m", "s3fd", "detect", str(EXAMPLE)],
}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", default="slim")
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=100, help="most pictures to use")
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=TABLES, help="tables to measure")
    parser.add_argument(
        "--docs", action="store_true", help="write the table of starts into the documentation"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        files = sorted(args.folder.rglob("*.jpg")) if args.folder else []
        for i in range(args.limit):
            if args.folder and i < len(files):
                (pictures / f"{i:04d}.jpg").symlink_to(files[i].resolve())
            elif not args.folder:
                cv2.imwrite(str(pictures / f"{i:04d}.jpg"), made(i))
        print(f"{len(list(pictures.iterdir()))} pictures, {args.threads} threads\n")
        if "stages" in args.tables:
            stages(pictures, args.weights)
        if "rates" in args.tables:
            rates(pictures, Path(folder) / "copies", args)
    if "batches" in args.tables:
        batches(args)
    if "starts" in args.tables:
        cold_starts(args.rounds, args.docs)


def made(number: int) -> Pixels:
    """Make a picture of 1024 × 768 pixels: the example photograph four times, moved and lit by `number`."""
    example = cv2.imread(str(EXAMPLE))
    wide = np.roll(np.tile(example, (2, 2, 1))[:768], 37 * number, axis=1)
    return np.asarray(cv2.convertScaleAbs(wide, alpha=0.8 + 0.004 * number), dtype=np.uint8)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that `work` takes: by the clock, and processor time with that of child processes."""
    clock, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - clock, sum(os.times()[:4]) - before


def stages(folder: Path, weights: str) -> None:
    """Print the processor time per picture of each stage, in one thread and in one pass at `vga`."""
    cv2.setNumThreads(1)
    detector = Detector(open_runtime(weights, 1))
    spent = dict.fromkeys(("decoding", "resizing", "network", "post-processing"), 0.0)

    def lap(stage: str, before: float) -> float:
        now = time.thread_time()
        spent[stage] += now - before
        return now

    files = sorted(folder.iterdir())
    detector(files[0])
    for file in files:
        start = time.thread_time()
        picture = detector.prepare(file)
        start = lap("decoding", start)
        seen = resize(picture.pixels, *network_size(picture.width, picture.height, "vga"))
        start = lap("resizing", start)
        outputs = detector.runtime(seen[None])
        start = lap("network", start)
        select(outputs.scores[0], outputs.boxes[0], min_score=detector.min_score)
        lap("post-processing", start)
    print("| stage | processor time, ms a picture | share |\n|---|---:|---:|")
    for stage, seconds in spent.items():
        print(f"| {stage} | {seconds / len(files) * 1e3:.2f} | {seconds / sum(spent.values()):.1%} |")
    print()


def rates(folder: Path, copies: Path, args: argparse.Namespace) -> None:
    """Print the rates of the network, of the detector without decoding, and of `s3fd detect`."""
    cv2.setNumThreads(args.threads)
    detector = Detector(open_runtime(args.weights, args.threads))
    prepared = [detector.prepare(file) for file in sorted(folder.iterdir())]
    fitted = [detector.fit(picture) for picture in prepared]
    each = open_runtime(args.weights, args.threads, streams=args.threads)
    command = [sys.executable, "-m", "s3fd", "detect", "--weights", args.weights]
    command += ["--threads", str(args.threads), str(folder)]
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        OWN: lambda: timed(lambda: run(each, fitted, args.threads)),
        "the network, all threads on one picture": lambda: timed(lambda: run(detector.runtime, fitted)),
        "decoded picture to boxes, all threads": lambda: timed(lambda: [detector.find(p) for p in prepared]),
        "`s3fd detect FOLDER`": lambda: lines(command),
        "`s3fd detect FOLDER --draw`": lambda: lines([*command, "--draw", str(copies)]),
    }
    run(detector.runtime, fitted[:2])
    run(each, fitted[:4], args.threads)
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, work in ways.items():
            measured[way].append(work())
    count = len(prepared)
    own = measured[OWN]
    print("| | pictures/s | of the network's rate | the same by processor time |\n|---|---:|---:|---:|")
    for way, times in measured.items():
        share = np.median([mine[0] / theirs[0] for mine, theirs in zip(own, times, strict=True)])
        busy = np.median([mine[1] / theirs[1] for mine, theirs in zip(own, times, strict=True)])
        rate = count / min(clock for clock, _ in times)
        print(f"| {way} | {rate:.1f} | {share:.2f} | {busy:.2f} |")
    print()


def run(runtime: Callable[[Pixels], object], pictures: Sequence[Picture], callers: int = 1) -> None:
    """Run the network on each picture, in `callers` calls at a time."""
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda picture: runtime(picture.pixels[None]), pictures))


def lines(command: list[str]) -> tuple[float, float]:
    """Return the clock and processor seconds that a command takes for the pictures, without its start-up.

    Clock time runs from the first line of output to the last. Processor time excludes that of a run on a
    single picture. Both leave one picture out, and are scaled up to all of them.
    """
    folder = Path(command[command.index("--threads") + 2])
    one = [str(min(folder.iterdir())) if part == str(folder) else part for part in command]
    _, start = timed(lambda: subprocess.run(one, check=True, stdout=subprocess.DEVNULL))
    clocks: list[float] = []

    def follow() -> None:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            clocks.extend(time.perf_counter() for _ in process.stdout)

    _, busy = timed(follow)
    whole = len(clocks) / (len(clocks) - 1)
    return (clocks[-1] - clocks[0]) * whole, (busy - start) * whole


def batches(args: argparse.Namespace) -> None:
    """Print the network's rate by the number of pictures in a batch."""
    runtime = open_runtime(args.weights, args.threads)
    example = cv2.resize(cv2.imread(str(EXAMPLE)), (640, 480))
    pictures = np.stack([np.roll(example, 20 * i, axis=1) for i in range(max(BATCHES))])
    runtime(pictures[:1])
    times: dict[int, list[tuple[float, float]]] = {batch: [] for batch in BATCHES}
    for _ in range(args.rounds):
        for batch in BATCHES:
            parts = [pictures[i : i + batch] for i in range(0, len(pictures), batch)]
            times[batch].append(timed(lambda parts=parts: [runtime(part) for part in parts]))  # type: ignore[misc]
    print("| batch | pictures/s | to a batch of 1 | the same by processor time |\n|---:|---:|---:|---:|")
    for batch, spent in times.items():
        pairs = list(zip(times[1], spent, strict=True))
        clock, busy = (np.median([one[i] / many[i] for one, many in pairs]) for i in (0, 1))
        rate = len(pictures) / min(seconds for seconds, _ in spent)
        print(f"| {batch} | {rate:.1f} | {clock:.2f} | {busy:.2f} |")
    print()


def cold_starts(rounds: int, docs: bool) -> None:
    """Print how long fresh processes take to start and run."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COLD}
    for _ in range(1 + rounds):
        for name, arguments in COLD.items():
            command = [sys.executable, *arguments]
            times[name].append(
                timed(lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))  # type: ignore[misc]
            )
    base, base_busy = np.min(times[IMPORTS][1:], axis=0)
    rows = ["| a fresh process | s | to the imports | the same by processor time |", "|---|---:|---:|---:|"]
    for name, spent in times.items():
        clock, busy = np.min(spent[1:], axis=0)
        rows.append(f"| `{name}` | {clock:.2f} | {clock / base:.2f} | {busy / base_busy:.2f} |")
    print("\n".join(rows))
    if docs:
        put("docs/throughput.md", "benchmarks/throughput.py: starts", "\n".join(rows))


if __name__ == "__main__":
    main()
