import numpy as np
import torch

from s3fd import anchors as anchor_ops
from s3fd import boxes as box_ops
from s3fd.network import build
from s3fd.network.decoder import PictureNetwork, anchors, decode
from s3fd.network.heads import Predictions


def test_anchors_are_those_of_the_numpy_side() -> None:
    sizes = anchor_ops.map_sizes(200, 333)
    x, y, side = anchors(sizes, torch.device("cpu"))
    ours = torch.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], dim=1)
    np.testing.assert_array_equal(ours.numpy(), anchor_ops.anchors(sizes))


def test_decode_agrees_with_the_numpy_side() -> None:
    torch.manual_seed(0)
    sizes = anchor_ops.map_sizes(64, 96)
    every = anchor_ops.anchors(sizes)
    deltas = torch.randn(2, len(every), 4) * 3
    logits = torch.randn(2, len(every), 2)
    scores, boxes = decode(Predictions(logits, deltas, sizes))
    torch.testing.assert_close(scores, logits.softmax(dim=-1)[..., 1])
    for found, delta in zip(boxes, deltas, strict=True):
        np.testing.assert_allclose(found, box_ops.decode(delta.numpy(), every), rtol=1e-4, atol=1e-2)


def test_wild_outputs_stay_finite() -> None:
    sizes = anchor_ops.map_sizes(32, 32)
    count = len(anchor_ops.anchors(sizes))
    scores, boxes = decode(Predictions(torch.zeros(1, count, 2), torch.full((1, count, 4), 1e4), sizes))
    assert scores.isfinite().all() and boxes.isfinite().all()


def test_picture_network_subtracts_the_mean() -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    mean = torch.tensor([104, 117, 123], dtype=torch.uint8).expand(1, 64, 64, 3)
    with torch.no_grad():
        expected = decode(network(torch.zeros(1, 3, 64, 64)))
        scores, boxes = PictureNetwork(network)(mean)
    torch.testing.assert_close(scores, expected[0])
    torch.testing.assert_close(boxes, expected[1])
