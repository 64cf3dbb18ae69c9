"""What detections hit that are no face of the ground truth, from a result folder of WIDER FACE's layout.

Run: python benchmarks/false_alarms.py RESULTS GROUND_TRUTH IMAGES

For each least score, how many detections found a face (IoU of 0.5, the best one of each), found one again,
lie beside one (IoU of 0.3 or 0.1 and more) or on nothing, and how many of the latter are under 32 pixels.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from s3fd import boxes as box_ops
from s3fd.evaluation import results, wider
from s3fd.faces import Faces

SCORES = (0.7, 0.5, 0.3)
KINDS = ("face", "again", "beside, IoU .3–.5", "beside, IoU .1–.3", "nothing", "nothing, under 32 px")


def main() -> None:
    """Read, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of result files, EVENT/NAME.txt")
    parser.add_argument("truth", type=Path, help="folder of WIDER FACE's .mat files")
    parser.add_argument("images", type=Path, help="folder of event folders of the pictures that count")
    options = parser.parse_args()
    names = [f"{file.parent.name}/{file.stem}" for file in sorted(options.images.glob("*/*.jpg"))]
    truth, found = wider.load(options.truth).only(names), results.read_all(options.results, names)
    print(f"| score over | {' | '.join(KINDS)} |\n|---|" + "---:|" * len(KINDS))
    for least in SCORES:
        kinds: Counter[str] = Counter()
        for name, picture in truth.pictures.items():
            faces = found.get(name, Faces.empty())
            kinds.update(judge(faces[faces.scores > least], picture.boxes.astype(np.float32)))
        print(f"| {least} | " + " | ".join(str(kinds[kind]) for kind in KINDS) + " |")


def judge(faces: Faces, real: np.ndarray) -> list[str]:
    """What each of a picture's detections hits, of `KINDS`; one on nothing that is small counts twice."""
    overlap = box_ops.iou(faces.boxes, real) if len(real) else np.zeros((len(faces), 1))
    taken: set[int] = set()
    kinds = []
    for i in np.argsort(-faces.scores):
        best, face = overlap[i].max(), int(overlap[i].argmax())
        if best >= 0.5:
            kinds.append("again" if face in taken else "face")
            taken.add(face)
        elif best >= 0.1:
            kinds.append("beside, IoU .3–.5" if best >= 0.3 else "beside, IoU .1–.3")
        else:
            kinds.append("nothing")
            if faces.sizes[i] < 32:
                kinds.append("nothing, under 32 px")
    return kinds


if __name__ == "__main__":
    main()
