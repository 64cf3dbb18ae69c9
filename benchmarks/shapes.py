"""Time each engine on a picture whose shape is new to it, has been seen, or has been seen very often.

Run: python benchmarks/shapes.py --threads 1 --int8 slim.int8.xml --docs

The network alone, without attributes, sees the example photograph 640 pixels wide in three phases: heights
that are new at every call; one height, again and again; and the same height after so many calls that OpenVINO
has compiled the model for it. YuNet, in OpenCV, sees the same pictures; its time includes suppression. All
take turns. On a busy machine, compare processor time, which covers all threads, above all with `--threads 1`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import wider_subset
from documents import put

from s3fd.inference.openvino_runtime import RECURRENT
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import PRECISIONS, EngineError, open_runtime

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
WIDTH, HEIGHT = 640, 480
NEW, SAME, OFTEN = "new", "the same", "the same, often"
PEER = "yunet_n"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="slim", help="name of a bundled model, for all engines")
    parser.add_argument("--int8", type=Path, help="the same weights in 8 bits")
    parser.add_argument("--peers", type=Path, default=wider_subset.SHARED / "peers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=40, help="timed calls in each phase")
    parser.add_argument(
        "--docs", action="store_true", help="write ratios of processor time into docs/engines.md"
    )
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    ways = networks(options)
    print(f"{options.threads} threads, {WIDTH} pixels wide\n")
    print(
        f"| network | shape | median ms | × {PEER} | processor ms | × {PEER} |\n|---|---|---:|---:|---:|---:|"
    )
    ratios: dict[str, list[str]] = {name: [] for name in ways}
    for phase, pictures in phases(options.calls):
        if phase == OFTEN:
            measure(ways, pictures[:1] * RECURRENT)
        clock, busy = measure(ways, pictures)
        for name in ways:
            cells = []
            for times in (clock, busy):
                ratio = np.median(np.divide(times[name], times[PEER]))
                cells += [f"{np.median(times[name]):.1f}", f"{ratio:.2f}"]
            print(f"| {name} | {phase} | {' | '.join(cells)} |", flush=True)
            ratios[name].append(cells[-1])
    if options.docs:
        rows = ["| | new | the same | the same, often |\n|---|---:|---:|---:|"]
        rows += [f"| {name} | {' | '.join(cells)} |" for name, cells in ratios.items() if name != PEER]
        put("docs/engines.md", "benchmarks/shapes.py --threads 1", "\n".join(rows))


def networks(options: argparse.Namespace) -> dict[str, Callable[[Pixels], object]]:
    """Return the networks by name, as functions of a picture (H, W, 3); each has run once."""
    peers = wider_subset.load_peers(options.peers)
    ways: dict[str, Callable[[Pixels], object]] = {PEER: wider_subset.make_peer(peers, PEER)}
    modes = [(options.weights, "onnx", "fp32"), *((options.weights, "openvino", p) for p in PRECISIONS)]
    modes += [(options.int8, "openvino", p) for p in PRECISIONS if options.int8]
    for weights, engine, precision in modes:
        name = f"{engine} {precision}" if weights != options.int8 else f"{engine} int8, rest {precision}"
        try:
            runtime = open_runtime(weights, options.threads, engine=engine, precision=precision)
        except EngineError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        ways[name] = lambda picture, runtime=runtime: runtime(picture[None])  # type: ignore[misc]
    for way in ways.values():
        way(example(HEIGHT - 1))
    return ways


def phases(calls: int) -> Iterator[tuple[str, list[Pixels]]]:
    """Yield each phase and the pictures shown in it."""
    yield NEW, [example(HEIGHT - 2 - 2 * i) for i in range(min(calls, HEIGHT // 4))]
    yield SAME, [example(HEIGHT)] * min(calls, RECURRENT - 1)
    yield OFTEN, [example(HEIGHT)] * calls


def example(height: int) -> Pixels:
    """Return the example photograph, `WIDTH` pixels wide, at this height."""
    return np.asarray(cv2.resize(cv2.imread(str(EXAMPLE)), (WIDTH, height)), np.uint8)


def measure(
    ways: Mapping[str, Callable[[Pixels], object]], pictures: list[Pixels]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Time each way on each picture, in milliseconds by the clock and of processor time."""
    clock: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    for picture in pictures:
        for name, way in ways.items():
            start, before = time.perf_counter(), time.process_time()
            way(picture)
            clock[name].append(1000 * (time.perf_counter() - start))
            busy[name].append(1000 * (time.process_time() - before))
    return clock, busy


if __name__ == "__main__":
    main()
