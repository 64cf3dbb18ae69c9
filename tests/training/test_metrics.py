from pathlib import Path

import numpy as np
import pytest
import torch

from s3fd import anchors as anchor_ops
from s3fd.training.config import MatchingConfig
from s3fd.training.dataset import Example, collate
from s3fd.training.metrics import Metrics, faces_of
from s3fd.training.targets import TargetMaker

SIZE = 128


@pytest.mark.parametrize("method", ["compensation", "aligned"])
def test_the_faces_that_are_shown_are_each_pictures_own(method: str) -> None:
    pictures = [
        np.array([[10, 12, 40, 44], [70, 66, 90, 90]], np.float32),
        np.zeros((0, 4), np.float32),
        np.array([[30, 20, 110, 118]], np.float32),
    ]
    make = TargetMaker(SIZE, MatchingConfig(method=method))
    nothing = torch.zeros((3, SIZE, SIZE), dtype=torch.uint8)
    examples = [
        Example(
            nothing, *make(boxes, np.zeros(len(boxes), bool)), torch.zeros((0, len(make.anchors))), [], []
        )
        for boxes in pictures
    ]
    batch = collate(examples)
    anchors = anchor_ops.anchors(anchor_ops.map_sizes(SIZE, SIZE))

    for i, boxes in enumerate(pictures):
        np.testing.assert_allclose(faces_of(batch, i, anchors), boxes)


def test_a_resumed_record_keeps_what_precedes_its_step_and_drops_damaged_lines(tmp_path: Path) -> None:
    good = [b'{"step": 0, "loss": 3.0}\n', b'{"step": 1, "loss": 2.0}\n']
    damaged = [b"garbage\n", b'{"a": 1}\n', b"[]\n", b"\xff\n", b'{"step": 1'.ljust(30) + b"\n"]
    later = [b'{"step": 2, "loss": 1.0}\n', b'{"step": 1, "lo']
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join([good[0], *damaged, good[1], *later]))
    metrics = Metrics(tmp_path, 2)
    metrics.scalars(2, {"loss": 0.5})
    metrics.close()
    assert path.read_bytes() == b"".join(good) + b'{"step": 2, "loss": 0.5}\n'


def test_a_resumed_run_removes_the_file_that_a_killed_one_was_writing(tmp_path: Path) -> None:
    for name in (".checkpoint.pt.0123.partial", "checkpoint.pt", "mine.partial"):
        (tmp_path / name).write_bytes(b"")
    Metrics(tmp_path, 0).close()
    assert {"checkpoint.pt", "mine.partial"} == {
        path.name for path in tmp_path.iterdir() if not path.name.startswith(("events", "metrics"))
    }
