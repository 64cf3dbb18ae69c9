"""Record of a run: one line of JSON per step, TensorBoard curves and sample pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.boxes import FloatArray
from s3fd.training.augmentation import Picture
from s3fd.training.dataset import Batch
from s3fd.training.matching import FACE
from s3fd.weights.atomic import remove_unfinished, write_atomically

GREEN_BGR, ORANGE_BGR = (80, 200, 60), (0, 140, 255)


class Metrics:
    """Write ``metrics.jsonl`` and TensorBoard events to the folder of a run."""

    def __init__(self, folder: Path, step: int) -> None:
        """Continue the record at `step`.

        What a killed run wrote after its checkpoint is dropped, and so are damaged lines and the file, such
        as a checkpoint, that it was writing.
        """
        remove_unfinished(folder)
        path = folder / "metrics.jsonl"
        recorded = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        write_atomically(path, b"".join(line for line in recorded if _is_before(line, step)))
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder), purge_step=step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record the named values of one step, except non-finite ones, which JSON does not support."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        for name, value in finite.items():
            self._board.add_scalar(name, value, step)

    def pictures(self, step: int, batch: Batch, scores: FloatArray, boxes: FloatArray) -> None:
        """Record the first pictures of a batch: target faces in green, detections above 0.5 in orange.

        `scores` (B, A) and `boxes` (B, A, 4), xyxy in pixels, are the network's predictions.
        """
        anchors = anchor_ops.anchors(anchor_ops.map_sizes(*batch.pictures.shape[-2:]))
        for i in range(len(scores)):
            picture = np.ascontiguousarray(batch.pictures[i].permute(1, 2, 0).numpy())
            draw(picture, boxes[i][scores[i] > 0.5], ORANGE_BGR)
            draw(picture, faces_of(batch, i, anchors), GREEN_BGR)
            self._board.add_image(f"picture/{i}", picture[:, :, ::-1], step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._board.close()


def _is_before(line: bytes, step: int) -> bool:
    """Whether a line of the record is complete, and of a step before `step`."""
    try:
        return line.endswith(b"\n") and int(json.loads(line)["step"]) < step
    except (ValueError, KeyError, TypeError):
        return False


def faces_of(batch: Batch, i: int, anchors: FloatArray) -> FloatArray:
    """Return boxes (N, 4), xyxy in whole pixels, of the faces matched with anchors (A, 4) of picture `i`.

    If anchors are assigned during training, these are the faces with candidate anchors.
    """
    face = (batch.labels[i] == FACE).numpy()
    matched = box_ops.decode(batch.deltas[i].numpy()[face], anchors[face])
    first, deltas = batch.candidates.anchors[:, 0].numpy(), batch.candidates.deltas[:, 0].numpy()
    own = (first >= 0) & (first // len(anchors) == i)
    free = box_ops.decode(deltas[own], anchors[first[own] % len(anchors)])
    return np.unique(np.concatenate([matched, free]).round(), axis=0)


def draw(picture: Picture, boxes: FloatArray, colour: tuple[int, int, int]) -> None:
    """Draw boxes (N, 4), one pixel wide, onto `picture`."""
    for x1, y1, x2, y2 in boxes.round().astype(int).tolist():
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 1)
