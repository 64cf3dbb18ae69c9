import pytest
import torch
import torch.nn.functional as F

from s3fd.training.attribute_loss import attribute_loss, where_faces

LOGITS = torch.tensor([[[2.0, 0.0], [0.5, 1.0], [3.0, -3.0]]])


def test_only_cells_with_a_face_count() -> None:
    scores = torch.tensor([[0.05, 0.04, 0.9], [0.01, 0.01, 0.01]])
    targets = torch.tensor([[1, 1, -1], [0, 0, 0]])
    assert where_faces(targets, scores, 0.05).tolist() == [[1, -1, -1], [-1, -1, -1]]


def test_cross_entropy_is_summed_over_the_cells() -> None:
    targets = torch.tensor([[0, 1, -1]])
    expected = -F.log_softmax(LOGITS[0, 0], dim=0)[0] - F.log_softmax(LOGITS[0, 1], dim=0)[1]
    torch.testing.assert_close(attribute_loss(LOGITS, targets, "cross_entropy"), expected)


def test_binary_asks_each_class_by_itself() -> None:
    targets = torch.tensor([[0, -1, -1]])
    expected = -F.logsigmoid(torch.tensor(2.0)) - F.logsigmoid(torch.tensor(-0.0))
    torch.testing.assert_close(attribute_loss(LOGITS, targets, "binary"), expected)


@pytest.mark.parametrize("kind", ["cross_entropy", "binary"])
def test_no_cell_is_no_loss(kind: str) -> None:
    assert attribute_loss(LOGITS, torch.full((1, 3), -1), kind).item() == 0  # type: ignore[arg-type]


def test_balanced_pictures_count_as_much_as_each_other() -> None:
    logits = torch.cat([LOGITS, LOGITS])
    targets = torch.tensor([[0, 1, -1], [-1, -1, 0]])
    first = attribute_loss(LOGITS, targets[:1], "cross_entropy") / 2
    second = attribute_loss(LOGITS, targets[1:], "cross_entropy")
    torch.testing.assert_close(
        attribute_loss(logits, targets, "cross_entropy", balanced=True), first + second
    )
