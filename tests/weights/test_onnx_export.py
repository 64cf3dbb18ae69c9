from pathlib import Path

import numpy as np
import pytest
import torch

from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.network import S3FD, build
from s3fd.network.decoder import PictureNetwork
from s3fd.weights.onnx_export import export_onnx


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[S3FD, Path]:
    torch.manual_seed(0)
    network = build("slim").eval()
    for conf in network.heads.conf:  # scores that differ
        conf.weight.data *= 20
    path = tmp_path_factory.mktemp("onnx") / "slim.onnx"
    export_onnx(network, path)
    return network, path


@pytest.mark.parametrize("shape", [(1, 480, 640), (3, 100, 333), (2, 1, 1), (1, 33, 130)])
def test_onnx_agrees_with_pytorch(exported: tuple[S3FD, Path], shape: tuple[int, int, int]) -> None:
    network, path = exported
    pictures = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    scores, boxes, *_ = OnnxRuntime(path, threads=1)(pictures)
    with torch.no_grad():
        expected_scores, expected_boxes = PictureNetwork(network)(torch.from_numpy(pictures))
    np.testing.assert_allclose(scores, expected_scores, atol=1e-4)
    np.testing.assert_allclose(boxes, expected_boxes, atol=1e-2, rtol=1e-4)


def test_a_model_does_not_say_where_it_was_made(exported: tuple[S3FD, Path]) -> None:
    content = exported[1].read_bytes()
    assert b"stack_trace" not in content and b".py" not in content
