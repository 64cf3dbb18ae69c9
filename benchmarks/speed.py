"""Measure time and accuracy from a decoded picture to its faces, for each engine and precision and the peers.

Run: python benchmarks/speed.py --int8 slim.int8.xml --mediapipe mp/bin/python --docs

WIDER FACE's pictures are resized to a longest side of 640. All detectors run in one process with the same
number of threads. They take turns at each picture, so that whatever else slows the machine slows all of them.
Time runs from the resized picture to boxes in its pixels, everything included, with scores from 0.02, which
average precision needs. In use, where scores start at 0.5, suppression has less to do. The exception is
MediaPipe, which needs an environment and a process of its own and chooses its number of threads
(`mediapipe_peer.py`). Its time excludes the exchange between the processes.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import wider_subset
from documents import ROOT, put
from numpy.typing import NDArray

from s3fd.evaluation import wider
from s3fd.evaluation.protocols import MIN_SCORE
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import PRECISIONS, AnchorOutputs, EngineError, Runtime, open_runtime

PLOT = "docs/images/speed.png"
YARDSTICKS = ("yunet_n", "scrfd_500m")
MODES = {
    "onnx": ("onnx", "fp32"),
    "openvino": ("openvino", "fp32"),
    "openvino bf16": ("openvino", "bf16"),
    "torch": ("torch", "fp32"),
}
"""Engine and precision, by their name in the table."""

OURS, THEIRS = "#d55e00", "#0072b2"
"""Orange and blue that colour-blind people can tell apart (Okabe and Ito)."""


def main() -> None:
    """Measure, print the table, draw the plot."""
    options = arguments()
    cv2.setNumThreads(options.threads)
    peers = wider_subset.load_peers(options.peers)
    peers.THREADS = options.threads
    networks = open_networks(options)
    ours = {
        name: Detector(network, "original", MIN_SCORE, attributes=network.told)
        for name, network in networks.items()
    }
    detectors = {name: wider_subset.make_peer(peers, name) for name in peers.PEERS}
    if options.mediapipe:
        detectors["mediapipe"] = MediaPipe(options.mediapipe)
    detectors |= {name: wider_subset.boxes_and_scores(detector) for name, detector in ours.items()}

    files, truth = wider_subset.subset(options.data, slice(None, None, options.every))
    found, times = wider_subset.measure(detectors, files, lambda picture: peers.resize(picture, "vga"))
    curves = {name: wider.evaluate(faces, truth) for name, faces in found.items()}
    precision = {
        name: [curve[setting].average_precision for setting in wider.SETTINGS]
        for name, curve in curves.items()
    }
    around = {name: network.share_of_others(times[name]) for name, network in networks.items()}
    table = format_table(precision, times, around)
    if not options.mediapipe:
        table += f"\n| mediapipe | not installed {'| ' * (len(wider.SETTINGS) + len(YARDSTICKS) + 1)}|"
    print(f"{len(files)} pictures, longest side 640, {options.threads} threads\n\n{table}")
    if options.plot:
        plot(precision, {name: float(np.median(spent)) for name, spent in times.items()}, options.plot)
    if options.docs:
        put("docs/engines.md", "benchmarks/speed.py", table)
        plot(precision, {name: float(np.median(spent)) for name, spent in times.items()}, ROOT / PLOT)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="slim", help="name of a bundled model, for all engines")
    parser.add_argument(
        "--int8", type=Path, help="the same weights in 8 bits: FILE.xml of `s3fd export openvino --int8`"
    )
    parser.add_argument("--modes", nargs="*", choices=MODES, default=["onnx", "openvino", "openvino bf16"])
    parser.add_argument(
        "--mediapipe", type=Path, help="Python of an environment with mediapipe; see mediapipe_peer.py"
    )
    parser.add_argument("--peers", type=Path, default=wider_subset.SHARED / "peers")
    parser.add_argument("--data", type=Path, help="the unpacked pictures (default: unpack them to a cache)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="use every EVERY-th picture")
    parser.add_argument("--docs", action="store_true", help="write table and plot into docs/engines.md")
    parser.add_argument("--plot", type=Path, help="plot average precision against time in this file")
    return parser.parse_args()


class Clocked:
    """A network that records how long each of its calls takes."""

    def __init__(self, runtime: Runtime, told: tuple[str, ...] = ()) -> None:
        """Wrap `runtime`, which is to predict the attributes `told`."""
        self._runtime = runtime
        self.told = told
        self.engine, self.device, self.classes = runtime.engine, runtime.device, runtime.classes
        self.times: list[float] = []

    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        """Run a batch of pictures; see `Runtime`."""
        start = time.perf_counter()
        outputs = self._runtime(pictures, attributes)
        self.times.append(1000 * (time.perf_counter() - start))
        return outputs

    def share_of_others(self, times: Sequence[float]) -> float:
        """Return the share of everything but the network in `times`, those of the whole detector in ms.

        Only the last calls count, as many as there are `times`: a first call is left out.
        """
        return 1 - sum(self.times[-len(times) :]) / sum(times)


class MediaPipe:
    """MediaPipe's detector in a process of its own, which reports how long each picture took."""

    def __init__(self, python: Path) -> None:
        """Start ``mediapipe_peer.py`` with this interpreter."""
        script = Path(__file__).with_name("mediapipe_peer.py")
        self._process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.milliseconds = 0.0

    def __call__(self, picture: Pixels) -> tuple[Any, Any]:
        """Return boxes (N, 4) and scores (N,) of a picture (H, W, 3)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(struct.pack("<II", *picture.shape[:2]) + picture.tobytes())
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("error: mediapipe_peer.py has ended; run it by itself to see why")
        self.milliseconds, faces = json.loads(answer)
        found = np.array(faces, np.float32).reshape(-1, 5)
        return found[:, :4], found[:, 4]


def open_networks(options: argparse.Namespace) -> dict[str, Clocked]:
    """Open this project's network in every requested engine and precision, by its name in the table."""
    networks: dict[str, Clocked] = {}
    for mode in options.modes:
        engine, precision = MODES[mode]
        try:
            runtime = open_runtime(options.weights, options.threads, engine=engine, precision=precision)
        except EngineError as error:
            print(f"{mode} is left out: {error}", file=sys.stderr)
            continue
        networks[f"s3fd {mode}"] = Clocked(runtime)
        if mode == "onnx" and runtime.classes:
            told = tuple(runtime.classes)
            networks[f"s3fd {mode}, with {' and '.join(told)}"] = Clocked(runtime, told)
    for precision in PRECISIONS if options.int8 else ():
        name = f"s3fd openvino int8, rest {precision}"
        try:
            runtime = open_runtime(options.int8, options.threads, precision=precision)
        except EngineError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        networks[name] = Clocked(runtime)
    return networks


def format_table(
    precision: Mapping[str, Sequence[float]],
    times: Mapping[str, Sequence[float]],
    around: Mapping[str, float],
) -> str:
    """Format a Markdown table, one row per detector; ratios are medians of those at each picture."""
    rows = [
        f"| detector | {' | '.join(wider.SETTINGS)} | median ms | "
        f"{' | '.join(f'× {name}' for name in YARDSTICKS)} | beside the network |",
        f"|---|{'---:|' * (len(wider.SETTINGS) + len(YARDSTICKS) + 2)}",
    ]
    for name, spent in times.items():
        ratios = (np.median(np.divide(spent, times[yardstick])) for yardstick in YARDSTICKS)
        cells = [f"{value:.3f}" for value in precision[name]]
        cells += [f"{np.median(spent):.1f}", *(f"{ratio:.2f}" for ratio in ratios)]
        cells.append(f"{around[name]:.1%}" if name in around else "")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def plot(precision: Mapping[str, Sequence[float]], medians: Mapping[str, float], path: Path) -> None:
    """Plot average precision against milliseconds, one panel per setting, and write it to `path`.

    Detectors are numbered from the fastest, so that points close to each other can be told apart.
    """
    from matplotlib.figure import Figure

    ranked = sorted(medians, key=lambda name: medians[name])
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    panels = figure.subplots(1, len(wider.SETTINGS))
    for i, (setting, axes) in enumerate(zip(wider.SETTINGS, panels, strict=True)):
        for number, name in enumerate(ranked, 1):
            mine = name.startswith("s3fd")
            colour, marker = (OURS, "o") if mine else (THEIRS, "s")
            label = f"{number}  {name}, {medians[name]:.0f} ms" if i == 0 else None
            axes.plot(
                medians[name], precision[name][i], marker, color=colour, markersize=6, alpha=0.8, label=label
            )
            axes.annotate(
                str(number),
                (medians[name], precision[name][i]),
                xytext=(0, 6 if number % 2 else -14),
                textcoords="offset points",
                horizontalalignment="center",
                fontsize=9,
                color=colour,
            )
        axes.set_xscale("log")
        ticks = [5, 10, 20, 50, 100, 200]
        axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        fastest, slowest = medians[ranked[0]], medians[ranked[-1]]
        axes.set(title=setting, xlabel="milliseconds a picture", xlim=(fastest / 1.5, slowest * 1.5))
        axes.margins(y=0.12)
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(-0.05, bottom), min(1.05, top))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("average precision")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
