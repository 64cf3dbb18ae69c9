#!/usr/bin/env python3
"""Redraw the boxes of a set of pictures in WIDER FACE's style, with YuNet as the annotator.

    python tools/relabel.py IMAGES OUT.txt --teacher yunet.onnx [--labels bbx_gt.txt] [--limit N]

Different annotators frame a face differently: with or without hair, with or without ears. A network trained
on several sets learns boxes that fit none of them. YuNet (MIT licence, OpenCV's model zoo) was trained on
WIDER FACE's boxes. It looks at each picture at several sizes and mirrored, so that all boxes have that style.

Where the teacher and the labels of `--labels` (WIDER's format) agree, there is a face with the teacher's box;
the same holds where the teacher alone is sure. What only the labels have is written as invalid, which
training ignores: the back of a head that somebody labelled is neither rewarded nor punished.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.data import wider
from s3fd.data.sample import Sample
from s3fd.faces import Faces
from s3fd.inference.suppression import suppress
from s3fd.inference.voting import vote

LONGEST_SIDES = (320, 640, 1024)
"""Longest sides at which the teacher looks at pictures by default: large faces are framed best in a small
picture, small faces in a large one."""

LOWEST_SCORE = 0.3
"""Score below which the teacher has not seen a face."""

SURE = 0.75
"""Score from which a face needs no label."""

SEEN_TWICE = 0.5
"""IoU from which two passes of the teacher show the same box; they are averaged."""

SAME_FACE = 0.35
"""IoU from which only the better of two merged boxes is kept."""

AGREEMENT = 0.3
"""IoU from which a label and a box of the teacher show one face: styles differ more than detections do."""

PICTURES = {".jpg", ".jpeg", ".png"}


def look(teacher: cv2.FaceDetectorYN, picture: np.ndarray, longest: int) -> Faces:
    """Run the teacher on a picture at this size; boxes (N, 4) are xyxy in the picture's pixels."""
    scale = longest / max(picture.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=method)
    teacher.setInputSize(resized.shape[1::-1])
    rows = teacher.detect(resized)[1]
    if rows is None:
        return Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    scales = np.array([picture.shape[1] / resized.shape[1], picture.shape[0] / resized.shape[0]] * 2)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * scales
    return Faces(corners.astype(np.float32), rows[:, 14].astype(np.float32))


def annotate(teacher: cv2.FaceDetectorYN, picture: np.ndarray, sizes: Sequence[int]) -> Faces:
    """Merge the teacher's passes at these longest sides, each also mirrored; one box per face, best first."""
    passes = []
    for longest in sizes:
        passes.append(look(teacher, picture, longest))
        mirrored = look(teacher, np.ascontiguousarray(picture[:, ::-1]), longest)
        passes.append(Faces(box_ops.flip(mirrored.boxes, picture.shape[1]), mirrored.scores))
    boxes = np.concatenate([p.boxes for p in passes])
    merged = vote(Faces(boxes, np.concatenate([p.scores for p in passes])), iou=SEEN_TWICE)
    return merged[suppress(merged.scores, merged.boxes, SAME_FACE)]


def reconcile(
    seen: Faces, labels: FloatArray, ignored: np.ndarray, labelled: bool = True
) -> tuple[FloatArray, np.ndarray]:
    """Return boxes (M, 4) and which are invalid (M,), from the teacher's faces and the labels (N, 4).

    A face that the teacher is sure of, or that a label confirms, gets the teacher's box. Labels without such
    a face are invalid. `ignored` (N,) are labels that confirm nothing. A face that the teacher is unsure of
    and no label confirms is left out if somebody `labelled` the picture, and is invalid otherwise.
    """
    overlap = box_ops.iou(seen.boxes, labels)
    faces = (overlap[:, ~ignored] >= AGREEMENT).any(axis=1) | (seen.scores >= SURE)
    missed = ~(overlap[faces] >= AGREEMENT).any(axis=0)
    unsure = ~faces & (not labelled)
    boxes = np.concatenate([seen.boxes[faces], seen.boxes[unsure], labels[missed]])
    return boxes, np.arange(len(boxes)) >= faces.sum()


def records(sample: Sample, images: Path, teacher_file: Path, sizes: Sequence[int], labelled: bool) -> str:
    """Annotate one picture and return its lines in WIDER FACE's format; nothing if it cannot be read."""
    picture = cv2.imread(str(sample.path))
    if picture is None:
        return ""
    teacher = cv2.FaceDetectorYN.create(str(teacher_file), "", (320, 320), LOWEST_SCORE, 0.45, 5000)
    boxes, invalid = reconcile(annotate(teacher, picture, sizes), sample.boxes, sample.ignored, labelled)
    boxes = box_ops.clip(boxes, picture.shape[1], picture.shape[0])
    lines = [sample.path.relative_to(images).as_posix(), str(len(boxes))]
    for (x1, y1, x2, y2), flag in zip(boxes.tolist(), invalid.tolist(), strict=True):
        lines.append(f"{x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f} 0 0 0 {int(flag)} 0 0")
    return "".join(line + "\n" for line in lines)


def samples_of(images: Path, labels: Path | None) -> list[Sample]:
    """Return every annotated picture or, without `labels`, every picture below `images`, without boxes."""
    if labels is not None:
        return wider.read(labels, images).samples
    files = sorted(f for f in images.rglob("*") if f.suffix.lower() in PICTURES)
    return [Sample(f, np.zeros((0, 4), np.float32), np.zeros(0, bool)) for f in files]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path, help="folder that the names in OUT are relative to")
    parser.add_argument("out", type=Path, help="annotation file to write")
    parser.add_argument("--teacher", type=Path, required=True, help="YuNet's ONNX file")
    parser.add_argument("--labels", type=Path, help="the set's own annotation file, in WIDER's format")
    parser.add_argument("--limit", type=int, help="annotate only this many pictures, chosen evenly")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=LONGEST_SIDES, help="longest sides the teacher sees"
    )
    args = parser.parse_args()
    samples = samples_of(args.images, args.labels)
    if args.limit and args.limit < len(samples):
        samples = [samples[i] for i in np.linspace(0, len(samples) - 1, args.limit).astype(int)]
    work = partial(
        records, images=args.images, teacher_file=args.teacher, sizes=args.sizes, labelled=bool(args.labels)
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool(initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        done = track(pool.imap(work, samples, chunksize=8), total=len(samples), description="relabel")
        args.out.write_text("".join(done), encoding="utf-8")


if __name__ == "__main__":
    main()
