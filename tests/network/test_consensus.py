import torch

from s3fd.network.consensus import consensus
from s3fd.network.layer_logits import LayerLogits

SIZES = [(16, 20), (8, 10), (4, 5), (2, 3), (1, 2), (1, 1)]
ANCHORS = sum(height * width for height, width in SIZES)
SURE = 30.0


def detector(cell: tuple[int, int] | None = None) -> torch.Tensor:
    """Logits of a detector that sees a face in one cell of layer 1, or everywhere alike."""
    logits = torch.zeros(1, ANCHORS, 2)
    if cell is not None:
        logits[..., 1] = -SURE
        logits[0, SIZES[0][0] * SIZES[0][1] + cell[0] * SIZES[1][1] + cell[1], 1] = SURE
    return logits


def test_a_cell_without_a_face_takes_the_answer_of_its_neighbour_with_one() -> None:
    said = torch.randn(1, 2, 8, 10)
    heard = consensus(LayerLogits({1: said}, SIZES), detector((3, 4))).own[1]
    around = heard[0, :, 2:5, 3:6]
    assert torch.allclose(around, said[0, :, 3, 4][:, None, None].expand_as(around), atol=1e-4)


def test_equal_scores_are_a_plain_mean_even_at_the_edge() -> None:
    said = torch.randn(2, 3, 8, 10)
    heard = consensus(LayerLogits({1: said}, SIZES), detector().expand(2, -1, -1)).own[1]
    assert torch.allclose(heard[:, :, 3, 4], said[:, :, 2:5, 3:6].mean((2, 3)), atol=1e-6)
    assert torch.allclose(heard[:, :, 0, 0], said[:, :, :2, :2].mean((2, 3)), atol=1e-6)


def test_agreement_stays_what_it_is_and_nothing_is_lost_where_no_score_is() -> None:
    said = torch.full((1, 2, 4, 5), 1.5)
    logits = torch.full((1, ANCHORS, 2), 0.0)
    logits[..., 1] = -200.0
    heard = consensus(LayerLogits({2: said}, SIZES), logits).own[2]
    assert torch.isfinite(heard).all()
    assert torch.allclose(consensus(LayerLogits({2: said}, SIZES), detector()).own[2], said)
