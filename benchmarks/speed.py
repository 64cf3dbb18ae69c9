"""From a decoded picture to its faces: time and accuracy of every engine and precision, and of the peers.

Run: python benchmarks/speed.py --int8 slim.int8.xml --plot docs/images/speed.png

On WIDER FACE's pictures, resized to a longest side of 640, in one process and with as many threads for all.
The detectors take turns at each picture, so that whatever else slows the machine slows all of them. Time runs
from the resized picture to boxes in its pixels, everything included, with scores from 0.01 on (the peers:
0.02), as average precision needs them; in use, where scores start at 0.5, suppression has less to do.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import wider_subset
from numpy.typing import NDArray

from s3fd.evaluation import wider
from s3fd.evaluation.protocols import MIN_SCORE
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import AnchorOutputs, EngineError, Runtime, open_runtime

YARDSTICKS = ("yunet_n", "scrfd_500m")
MODES = {
    "onnx": ("onnx", "fp32"),
    "openvino": ("openvino", "fp32"),
    "openvino bf16": ("openvino", "bf16"),
    "torch": ("torch", "fp32"),
}
"""Engine and precision by what the table calls them."""


def main() -> None:
    """Measure, print the table, draw the plot."""
    options = arguments()
    cv2.setNumThreads(options.threads)
    peers = wider_subset.load_peers(options.peers)
    peers.THREADS = options.threads
    networks = open_networks(options)
    ours = {name: Detector(network, "original", MIN_SCORE) for name, network in networks.items()}
    detectors = {name: wider_subset.make_peer(peers, name) for name in peers.PEERS}
    detectors |= {name: wider_subset.boxes_and_scores(detector) for name, detector in ours.items()}

    data = options.data or wider_subset.unpack(wider_subset.SHARED / "data")
    files = sorted((data / "WIDER_val" / "images").glob("*/*.jpg"))[:: options.every]
    truth = wider.load(data / "ground_truth").only(f"{file.parent.name}/{file.stem}" for file in files)
    found, times = wider_subset.measure(detectors, files, lambda picture: peers.resize(picture, "vga"))
    curves = {name: wider.evaluate(faces, truth) for name, faces in found.items()}
    precision = {
        name: [curve[setting].average_precision for setting in wider.SETTINGS]
        for name, curve in curves.items()
    }
    around = {name: network.share_of_others(times[name]) for name, network in networks.items()}
    print(f"{len(files)} pictures, longest side 640, {options.threads} threads\n")
    print(format_table(precision, times, around))
    if options.plot:
        plot(precision, {name: float(np.median(spent)) for name, spent in times.items()}, options.plot)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="slim", help="name of a bundled model, for all engines")
    parser.add_argument(
        "--int8", type=Path, help="the same in 8 bits: FILE.xml of `s3fd export openvino --int8`"
    )
    parser.add_argument("--modes", nargs="*", choices=MODES, default=["onnx", "openvino", "openvino bf16"])
    parser.add_argument("--peers", type=Path, default=wider_subset.SHARED / "peers")
    parser.add_argument("--data", type=Path, help="the unpacked pictures; unpacked to a cache if not given")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="take one of so many pictures")
    parser.add_argument("--plot", type=Path, help="draw average precision over time into this file")
    return parser.parse_args()


class Clocked:
    """A network that notes how long each of its calls takes."""

    def __init__(self, runtime: Runtime) -> None:
        """Run `runtime`."""
        self._runtime = runtime
        self.engine, self.device, self.classes = runtime.engine, runtime.device, runtime.classes
        self.times: list[float] = []

    def __call__(self, pictures: NDArray[np.uint8], attributes: Sequence[str] = ()) -> AnchorOutputs:
        """Run a batch of pictures; see `Runtime`."""
        start = time.perf_counter()
        outputs = self._runtime(pictures, attributes)
        self.times.append(1000 * (time.perf_counter() - start))
        return outputs

    def share_of_others(self, times: Sequence[float]) -> float:
        """Share, in `times` of the whole in ms, of everything but the network; a first call is left out."""
        return 1 - sum(self.times[-len(times) :]) / sum(times)


def open_networks(options: argparse.Namespace) -> dict[str, Clocked]:
    """This project's network in every engine and precision that is asked for, by what the table calls it."""
    networks = {}
    for mode in options.modes:
        engine, precision = MODES[mode]
        try:
            runtime = open_runtime(options.weights, options.threads, engine=engine, precision=precision)
        except EngineError as error:
            print(f"{mode} is left out: {error}", file=sys.stderr)
            continue
        networks[f"s3fd {mode}"] = Clocked(runtime)
    if options.int8:
        networks["s3fd openvino int8"] = Clocked(open_runtime(options.int8, options.threads))
    return networks


def format_table(
    precision: Mapping[str, Sequence[float]],
    times: Mapping[str, Sequence[float]],
    around: Mapping[str, float],
) -> str:
    """A Markdown table, a row a detector; ratios are medians of those at each picture."""
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
    """Draw average precision over milliseconds, a panel a setting, and write it to `path`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    panels = figure.subplots(1, len(wider.SETTINGS))
    for i, (setting, axes) in enumerate(zip(wider.SETTINGS, panels, strict=True)):
        for name, median in medians.items():
            mine = name.startswith("s3fd")
            colour, marker = ("#d55e00", "o") if mine else ("#0072b2", "s")
            axes.plot(median, precision[name][i], marker, color=colour)
            axes.annotate(
                name.removeprefix("s3fd "),
                (median, precision[name][i]),
                xytext=(5, 4 if mine else -11),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
        axes.set_xscale("log")
        ticks = [10, 20, 50, 100, 200]
        axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set(title=setting, xlabel="milliseconds a picture, two threads", xlim=(5, 250))
        axes.margins(y=0.12)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("average precision (orange: s3fd)")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
