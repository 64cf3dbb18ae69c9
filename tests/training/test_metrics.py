import numpy as np
import pytest
import torch

from s3fd import anchors as anchor_ops
from s3fd.training.config import MatchingConfig
from s3fd.training.dataset import Example, collate
from s3fd.training.metrics import faces_of
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
