"""Classify detections by what they hit, from a result folder in WIDER FACE's layout.

Run: python benchmarks/false_alarms.py RESULTS GROUND_TRUTH IMAGES

For each score threshold, the table counts the detections that find a face (IoU of 0.5 or more, the one with
the highest score), find the same face again, only touch a face (IoU of 0.3 or 0.1 and more) or hit nothing,
and those of the last kind that are smaller than 32 pixels.
"""

from collections import Counter

import numpy as np
from result_folders import read_arguments

from s3fd import boxes as box_ops
from s3fd.faces import Faces

SCORES = (0.7, 0.5, 0.3)
KINDS = ("face", "again", "beside, IoU .3–.5", "beside, IoU .1–.3", "nothing", "nothing, under 32 px")


def main() -> None:
    """Read the results, classify the detections and print the table."""
    truth, found = read_arguments(__doc__)
    print(f"| score over | {' | '.join(KINDS)} |\n|---|" + "---:|" * len(KINDS))
    for least in SCORES:
        kinds: Counter[str] = Counter()
        for name, picture in truth.pictures.items():
            faces = found[name]
            kinds.update(judge(faces[faces.scores > least], picture.boxes.astype(np.float32)))
        print(f"| {least} | " + " | ".join(str(kinds[kind]) for kind in KINDS) + " |")


def judge(faces: Faces, real: np.ndarray) -> list[str]:
    """Classify a picture's detections into `KINDS`; a small one that hits nothing appears twice."""
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
