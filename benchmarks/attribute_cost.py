"""Compare an attribute in the same pass with "find, crop, classify" in time, by the number of faces.

Run: python benchmarks/attribute_cost.py --plot docs/images/attribute_cost.png

Pictures of 640 × 480 hold 0 to 200 copies of the example photograph's face. Three ways take turns at each:
the detector without the attribute's head; the detector with it; and the detector without it, followed by a
second network on crops of all faces as one batch. One thread is the default, because the threads of several
networks would be in each other's way while they wait. The second network is this project's own on crops of
128 pixels (`CROP`), 40 M multiply-adds per face, so that both predict the attribute with the same weights.
--labels also measures the accuracy of each.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from sampling import evenly

import s3fd
from s3fd.data import labels as label_files
from s3fd.data.targets import parse_target
from s3fd.faces import Faces
from s3fd.inference import pictures
from s3fd.inference.detector import Detector
from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import BUNDLED
from s3fd.weights.network_file import load_network
from s3fd.weights.onnx_export import export_onnx

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
SIZE = (640, 480)
COUNTS = (0, 1, 2, 5, 10, 20, 30, 50, 100, 200)

CROP = 128
"""Side of the crop that the second network sees, in pixels."""

AROUND = 2.0
"""Side of the crop, in sides of the face: a detector's maps recognise a face by its surroundings."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=BUNDLED / "slim.safetensors")
    parser.add_argument("--attribute", default="gender")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--labels", type=Path, help="table of labelled faces")
    parser.add_argument("--images", type=Path, default=Path())
    parser.add_argument("--target", default="Gender:F=female,M=male")
    parser.add_argument("--limit", type=int, default=500, help="labelled pictures, chosen evenly")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        plain, full = (open_with(options, names, Path(folder)) for names in ((), (options.attribute,)))
        second = open_with(options, (options.attribute,), Path(folder))
    alone = Detector(plain)
    telling = Detector(full, attributes=(options.attribute,))

    def crop_and_classify(picture: Pixels) -> object:
        faces = alone(picture)
        return classify(second, options.attribute, crops(picture, faces)) if len(faces) else faces

    ways: dict[str, Callable[[Pixels], object]] = {
        "faces alone": alone,
        f"with {options.attribute}": telling,
        "faces, then a network a face": crop_and_classify,
    }
    print(f"| faces | found | {' | '.join(f'{way}, ms' for way in ways)} | added in the pass |")
    print("|---:|---:|" + "---:|" * (len(ways) + 1))
    medians: dict[str, list[float]] = {way: [] for way in ways}
    for count in COUNTS:
        picture = crowd(count)
        times = measure(ways, picture, options.rounds)
        for way, spent in times.items():
            medians[way].append(float(np.median(spent)))
        base, same = (np.array(times[way]) for way in list(ways)[:2])
        added = float(np.median(same / base)) - 1
        cells = " | ".join(f"{medians[way][-1]:.1f}" for way in ways)
        print(f"| {count} | {len(alone(picture))} | {cells} | {100 * added:+.0f} % |", flush=True)
    if options.plot:
        plot(medians, options.plot)
    if options.labels:
        compare(telling, second, options)


def open_with(options: argparse.Namespace, attributes: Sequence[str], folder: Path) -> OnnxRuntime:
    """Open the weights as a model that predicts these attributes and no others."""
    network = load_network(options.weights)
    if not {a.name for a in network.attributes} >= set(attributes):
        sys.exit(f"error: {options.weights} does not tell {options.attribute}")
    network.attributes = tuple(a for a in network.attributes if a.name in attributes)
    for name in set(network.attribute_heads) - set(attributes):
        del network.attribute_heads[name]
    export_onnx(network, folder / "model.onnx")
    return OnnxRuntime(folder / "model.onnx", options.threads)


def crowd(count: int) -> Pixels:
    """Make a picture with `count` copies of the example's head in rows, as large as there is room for."""
    photo = pictures.read(EXAMPLE)
    x1, y1, x2, y2 = s3fd.load()(photo).boxes[0]
    margin = 0.35 * (x2 - x1)
    head = photo[int(max(0, y1 - margin)) : int(y2 + margin), int(max(0, x1 - margin)) : int(x2 + margin)]
    canvas = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
    columns = max(1, math.ceil(math.sqrt(count * SIZE[0] / SIZE[1])))
    rows = max(1, math.ceil(count / columns))
    width, height = SIZE[0] // columns, SIZE[1] // rows
    scale = min(width / head.shape[1], height / head.shape[0], 1)
    small = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
    for row, column in (divmod(i, columns) for i in range(count)):
        y, x = row * height, column * width
        canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    return canvas


def crops(picture: Pixels, faces: Faces) -> Pixels:
    """Crop each face with its surroundings, (N, CROP, CROP, 3)."""
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    scales = CROP / (AROUND * faces.sizes)
    return np.stack(
        [
            cv2.warpAffine(
                picture,
                np.array([[s, 0, CROP / 2 - s * x], [0, s, CROP / 2 - s * y]], np.float32),
                (CROP, CROP),
                borderValue=(104, 117, 123),
            )
            for (x, y), s in zip(centres.tolist(), scales.tolist(), strict=True)
        ]
    )


def classify(network: OnnxRuntime, attribute: str, faces: Pixels) -> np.ndarray:
    """Return the probabilities (N, classes) at the best anchor of each crop."""
    told = network(faces, [attribute])
    best = told.scores.argmax(axis=1)
    return np.asarray(told.attributes[attribute][np.arange(len(best)), best])


def measure(
    ways: dict[str, Callable[[Pixels], object]], picture: Pixels, rounds: int
) -> dict[str, list[float]]:
    """Time each way in milliseconds, taking turns."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for i in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run(picture)
            if i:  # the first call allocates
                times[way].append(1000 * (time.perf_counter() - start))
    return times


def plot(medians: dict[str, list[float]], path: Path) -> None:
    """Plot milliseconds against the number of faces."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for way, values in medians.items():
        axes.plot(COUNTS, values, marker="o", label=way)
    axes.set(xlabel="faces in the picture", ylabel="ms a picture of 640 × 480, one thread", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def compare(telling: Detector, second: OnnxRuntime, options: argparse.Namespace) -> None:
    """Print the accuracy of each way on the largest face of labelled pictures."""
    target = parse_target(options.target)
    found = label_files.read(options.labels, options.images, [target])
    column = found.targets[0].column
    items = [item for item in found.pictures if (item.labels[column] >= 0).any()]
    right, count = np.zeros(2, int), 0
    for item in evenly(items, options.limit):
        picture = pictures.read(item.path)
        faces = telling.find_probabilities(telling.prepare(picture, "original"), size="original")
        if not len(faces):
            continue
        face = faces[[int(faces.sizes.argmax())]]
        label = int(item.labels[column][item.labels[column] >= 0][0])
        one = int(face.attributes[options.attribute][0].argmax())
        two = int(classify(second, options.attribute, crops(picture, face))[0].argmax())
        right += (one == label, two == label)
        count += 1
    print(
        f"\nright about the largest face of {count} labelled pictures: in the pass {right[0] / count:.1%}, "
    )
    print(f"the second network {right[1] / count:.1%}")


if __name__ == "__main__":
    main()
