"""Compare accuracy and time of this project's detector and of others, on the same pictures of WIDER FACE.

Run: python benchmarks/wider_subset.py --size vga

Every detector gets the same decoded and resized picture and returns boxes. This is what is timed, with the
same number of threads for all. They take turns at each picture, so that whatever else slows the machine slows
all of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from documents import put

from s3fd.evaluation import wider
from s3fd.evaluation.protocols import MIN_SCORE
from s3fd.evaluation.results import write_all
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import open_runtime

SHARED = Path(os.environ.get("S3FD_SHARED", Path(__file__).parents[2] / "shared"))
PACK = "wider_val_subset"
YARDSTICK = "yunet_n"

Detect = Callable[[Pixels], tuple[Any, Any]]
"""Maps a picture to boxes (N, 4) xyxy in its pixels and scores (N,)."""


def main() -> None:
    """Measure and print the table."""
    options = arguments()
    cv2.setNumThreads(options.threads)
    peers = load_peers(options.peers)
    peers.THREADS = options.threads
    chosen = list(peers.PEERS) if options.detectors == ["all"] else options.detectors
    unknown = set(chosen) - set(peers.PEERS) - {"none"}
    if unknown:
        sys.exit(f"error: no such peer: {', '.join(sorted(unknown))}; there are {', '.join(peers.PEERS)}")
    detectors: dict[str, Detect] = {name: make_peer(peers, name) for name in chosen if name != "none"}
    detectors |= {f"s3fd {Path(w).stem}": make_ours(w, options.threads) for w in options.weights}

    files, truth = subset(options.data, slice(options.limit))
    found, times = measure(detectors, files, lambda picture: peers.resize(picture, options.size))
    if options.results:
        for name, faces in found.items():
            write_all(options.results / f"{name.replace(' ', '-')}-{options.size}", faces)
    scores = {name: wider.evaluate(faces, truth) for name, faces in found.items()}
    table = format_table(scores, times)
    title = f"{len(files)} pictures, size {options.size}, {options.threads} threads"
    print(f"{title}\n\n{table}")
    if options.docs:
        for document in ("README.md", "docs/evaluation.md")[options.size == "original" :]:
            put(document, f"benchmarks/wider_subset.py --size {options.size}", table)
    if options.output:
        options.output.write_text(f"{title}\n\n{table}\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detectors", nargs="*", default=["all"], help="peers to measure: all, none or names")
    parser.add_argument("--weights", nargs="*", default=["slim"], help="this project's: names or .onnx files")
    parser.add_argument("--peers", type=Path, default=SHARED / "peers", help="folder of peer_detectors.py")
    parser.add_argument("--data", type=Path, help=f"the unpacked {PACK} (default: unpack it to a cache)")
    parser.add_argument("--size", choices=["vga", "original"], default="vga", help="vga: longest side 640")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, help="only the first LIMIT pictures")
    parser.add_argument("--results", type=Path, help="also write each detector's result files to this folder")
    parser.add_argument("--docs", action="store_true", help="write the table into the documentation")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    return parser.parse_args()


def subset(data: Path | None, part: slice) -> tuple[list[Path], wider.GroundTruth]:
    """Return a part of the pictures in `data`, or else in the pack, and their ground truth."""
    data = data or unpack(SHARED / "data")
    files = sorted((data / "WIDER_val" / "images").glob("*/*.jpg"))[part]
    truth = wider.load(data / "ground_truth").only(f"{file.parent.name}/{file.stem}" for file in files)
    return files, truth


def unpack(packs: Path) -> Path:
    """Unpack the pictures to a cache, once."""
    cache = Path(os.environ.get("S3FD_TEST_CACHE", Path(tempfile.gettempdir()) / "s3fd-data"))
    if not (cache / PACK / ".complete").exists():
        subprocess.run([sys.executable, packs / "unpack.py", cache, PACK], check=True, stdout=sys.stderr)
    return cache / PACK


def load_peers(folder: Path) -> Any:
    """Import ``peer_detectors.py`` of `folder`."""
    path = folder / "peer_detectors.py"
    if not path.is_file():
        sys.exit(f"error: {path}: no such file")
    spec = importlib.util.spec_from_file_location("peer_detectors", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.session = lambda path: calm_session(path, module.THREADS)
    return module


def calm_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a peer's network in ONNX Runtime with threads that stop spinning as soon as a call returns.

    By default they spin for some 30 ms more, on the processors of the detector whose turn is next.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make_peer(peers: Any, name: str) -> Detect:
    """Open a peer."""
    kind, weights = peers.PEERS[name]
    detect: Detect = kind(peers.WEIGHTS / weights)
    return detect


def make_ours(weights: str, threads: int) -> Detect:
    """Open this project's detector, with the peers' score threshold and no resizing of its own."""
    try:
        detector = Detector(open_runtime(weights, threads), size="original", min_score=MIN_SCORE)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")

    return boxes_and_scores(detector)


def boxes_and_scores(detector: Detector) -> Detect:
    """Adapt a detector of this project to `Detect`."""

    def detect(picture: Pixels) -> tuple[Any, Any]:
        faces = detector(picture)
        return faces.boxes, faces.scores

    return detect


def measure(
    detectors: Mapping[str, Detect], files: list[Path], resize: Callable[[Pixels], tuple[Pixels, float]]
) -> tuple[dict[str, dict[str, Faces]], dict[str, list[float]]]:
    """Return each detector's faces by picture, in pixels of the file, and its milliseconds per picture."""
    found: dict[str, dict[str, Faces]] = {name: {} for name in detectors}
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for i, file in enumerate(files):
        picture, scale = resize(cv2.imread(str(file)))
        for name, detect in detectors.items():
            if i == 0:
                detect(picture)  # the first call allocates
            start = time.perf_counter()
            boxes, scores = detect(picture)
            spent = 1000 * (time.perf_counter() - start)
            times[name].append(getattr(detect, "milliseconds", spent))  # its own, if in another process
            in_file = np.asarray(boxes, np.float32).reshape(-1, 4) / np.float32(scale)
            faces = Faces(in_file, np.asarray(scores, np.float32).reshape(-1))
            found[name][f"{file.parent.name}/{file.stem}"] = faces
        if (i + 1) % 10 == 0:
            print(f"{i + 1} of {len(files)} pictures", file=sys.stderr, flush=True)
    return found, times


def format_table(scores: Mapping[str, Mapping[str, wider.Curve]], times: Mapping[str, list[float]]) -> str:
    """Format a Markdown table, one row per detector."""
    yardstick = np.median(times[YARDSTICK]) if YARDSTICK in times else np.nan
    rows = [
        f"| detector | {' | '.join(wider.SETTINGS)} | median ms | × {YARDSTICK} |",
        f"|---|{'---:|' * len(wider.SETTINGS)}---:|---:|",
    ]
    for name, curves in scores.items():
        precisions = " | ".join(f"{curves[setting].average_precision:.3f}" for setting in wider.SETTINGS)
        median = np.median(times[name])
        ratio = "" if np.isnan(yardstick) else f"{median / yardstick:.2f}"
        rows.append(f"| {name} | {precisions} | {median:.1f} | {ratio} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
