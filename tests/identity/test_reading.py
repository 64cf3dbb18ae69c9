"""Where in an embedding's maps a face is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s3fd.anchors import map_sizes
from s3fd.embedding.stream import Batch
from s3fd.embedding.train import read
from s3fd.identity.reading import at_boxes
from s3fd.network.embedding import Embedding, EmbeddingTrunk, halve
from s3fd.network.slim import Slim
from s3fd.training.dataset import normalise

LAYERS = (2, 3, 4)
WIDTH, HEIGHT = 200, 120


def cells(seed: int = 0, dimension: int = 5) -> np.ndarray:
    count = sum(rows * columns for rows, columns in map_sizes(HEIGHT, WIDTH)[2:5])
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]], np.float32)


@pytest.mark.parametrize(
    ("side", "layer"), [(20, 2), (64, 2), (90, 2), (92, 3), (128, 3), (182, 4), (900, 4)]
)
def test_a_face_is_read_on_the_layer_of_its_size_at_the_cell_of_its_centre(side: float, layer: int) -> None:
    vectors = cells()
    sizes = map_sizes(HEIGHT, WIDTH)
    stride = 4 << layer
    row, column = 0, 1
    box = square((column + 0.5) * stride, (row + 0.5) * stride, side)
    start = sum(rows * columns for rows, columns in sizes[2:layer])
    wanted = vectors[start + row * sizes[layer][1] + column]
    found = at_boxes(vectors, box, LAYERS, WIDTH, HEIGHT)
    np.testing.assert_allclose(found[0], wanted / np.linalg.norm(wanted), rtol=1e-5)


def test_between_cells_their_mean_is_read_and_past_the_edge_the_edge() -> None:
    vectors = cells()
    columns = map_sizes(HEIGHT, WIDTH)[2][1]
    four = vectors[[0, 1, columns, columns + 1]].mean(axis=0)
    found = at_boxes(vectors, square(16, 16, 64), LAYERS, WIDTH, HEIGHT)
    np.testing.assert_allclose(found[0], four / np.linalg.norm(four), rtol=1e-5)
    corner = at_boxes(vectors, square(-50, -3, 64), LAYERS, WIDTH, HEIGHT)
    np.testing.assert_allclose(corner[0], vectors[0] / np.linalg.norm(vectors[0]), rtol=1e-5)


def test_no_face_and_the_wrong_input() -> None:
    assert at_boxes(cells(), np.zeros((0, 4), np.float32), LAYERS, WIDTH, HEIGHT).shape == (0, 5)
    with pytest.raises(ValueError, match="cells for an input of 999"):
        at_boxes(cells(), square(1, 1, 9), LAYERS, 999, HEIGHT)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_training_reads_what_the_detector_reads(level: int) -> None:
    torch.manual_seed(0)
    trunk = EmbeddingTrunk(Embedding(dimension=6, layers=LAYERS, width=8, depth=2), Slim()).eval()
    side = 128 << level
    picture = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    seen = picture.float()
    for _ in range(level):
        seen = halve(seen)
    centre = np.array([[37.0, 81.5]], np.float32)
    batch = Batch(seen, torch.from_numpy(centre), torch.zeros(1), torch.zeros(1))
    with torch.no_grad():
        maps = trunk(normalise(picture))
        trained = read(trunk, batch).numpy()
    every = np.concatenate([m[0].flatten(1).T.numpy() for m in maps])
    box = square(*(centre[0] * (1 << level)).tolist(), 64 << level)
    np.testing.assert_allclose(at_boxes(every, box, LAYERS, side, side), trained, atol=1e-4)


@pytest.mark.parametrize(("width", "height"), [(200, 120), (33, 97), (256, 1), (129, 255)])
def test_every_size_gives_the_cells_of_the_layers(width: int, height: int) -> None:
    trunk = EmbeddingTrunk(Embedding(dimension=6, layers=LAYERS, width=8, depth=1), Slim()).eval()
    with torch.no_grad():
        maps = trunk(torch.zeros(1, 3, height, width))
    assert [tuple(m.shape[-2:]) for m in maps] == list(map_sizes(height, width)[2:5])
