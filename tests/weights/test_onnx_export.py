from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from exported import Exported

from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.network.decoder import PictureNetwork
from s3fd.weights.network_file import load_network

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.mark.parametrize("shape", [(1, 480, 640), (3, 100, 333), (2, 1, 1), (1, 33, 130)])
def test_onnx_agrees_with_pytorch(exported: Exported, shape: tuple[int, int, int]) -> None:
    count, height, width = shape
    picture = cv2.resize(cv2.imread(str(EXAMPLE)), (width, height))
    pictures = np.stack([np.roll(picture, 32 * i, axis=1) for i in range(count)])
    scores, boxes, *_ = OnnxRuntime(exported.model, threads=1)(pictures)
    network = PictureNetwork(load_network(exported.weights))
    with torch.no_grad():
        expected_scores, expected_boxes, *_ = network(torch.from_numpy(pictures))
    assert height < 480 or scores.max() > 0.5
    np.testing.assert_allclose(scores, expected_scores, atol=1e-4)
    np.testing.assert_allclose(boxes, expected_boxes, atol=1e-2, rtol=1e-4)


def test_a_model_does_not_say_where_it_was_made(exported: Exported) -> None:
    content = exported.model.read_bytes()
    assert b"stack_trace" not in content and b".py" not in content
