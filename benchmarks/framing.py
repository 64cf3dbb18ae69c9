"""Measure how well faces are framed, by their size, from a result folder of ``s3fd eval wider``.

Run: python benchmarks/framing.py RESULTS GROUND_TRUTH IMAGES

Prints the recall of the hard setting's faces at two overlaps; then the median offset and size of boxes that
score 0.5 or more, in sides of the face (detections are paired with faces by an IoU over 0.4); then the number
of false positives by score.
"""

from itertools import pairwise

import numpy as np
from result_folders import read_arguments

from s3fd import boxes

EDGES = (8, 16, 32, 64, 128, 10_000)


def main() -> None:
    """Read the results, compare them with the ground truth and print the table."""
    truth, found = read_arguments(__doc__)
    recalls, errors, alarms = [], [], []
    for name, picture in truth.pictures.items():
        faces, real = found[name], picture.boxes
        if not len(real):
            continue
        overlap = boxes.iou(faces.boxes, real)
        sizes = np.sqrt(boxes.area(real))
        hard = picture.required["hard"]
        recalls.append(np.stack([sizes, overlap.max(axis=0, initial=0)], axis=1)[hard])
        alarms.append(np.stack([faces.scores, overlap.max(axis=1)], axis=1))
        paired = (overlap.max(axis=1) > 0.4) & (faces.scores >= 0.5)
        best = overlap.argmax(axis=1)[paired]
        a, b = faces.boxes[paired], real[best]
        side, found_side = b[:, 2:] - b[:, :2], a[:, 2:] - a[:, :2]
        shift = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2 / side
        errors.append(np.concatenate([sizes[best, None], shift, found_side / side], axis=1))
    recall, error, alarm = (np.concatenate(rows) for rows in (recalls, errors, alarms))
    print("| face, px | recall at .35 | at .5 | dx | dy | width | height |\n|---|---|---|---|---|---|---|")
    for low, high in pairwise(EDGES):
        iou = recall[(recall[:, 0] >= low) & (recall[:, 0] < high), 1]
        median = np.median(error[(error[:, 0] >= low) & (error[:, 0] < high), 1:], axis=0)
        cells = [(iou >= 0.35).mean(), (iou >= 0.5).mean(), *median]
        print(f"| {low}– | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    for score in (0.9, 0.7, 0.5):
        chosen = alarm[alarm[:, 0] > score, 1]
        print(f"over {score}: {len(chosen)} detections, {(chosen < 0.5).sum()} false alarms")


if __name__ == "__main__":
    main()
