import torch
import torch.nn.functional as F

from s3fd.network.heads import Predictions
from s3fd.training.losses import MIN_NEGATIVES, detection_loss, hard_negatives


def make(batch: int, anchors: int) -> Predictions:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, anchors, 2, generator=generator, requires_grad=True)
    deltas = torch.randn(batch, anchors, 4, generator=generator, requires_grad=True)
    return Predictions(logits, deltas, [])


def test_agrees_with_a_loop_over_pictures() -> None:
    predictions = make(3, 400)
    labels = torch.zeros(3, 400, dtype=torch.int8)
    labels[0, :30] = 1
    labels[1, 5:25] = 1
    labels[1, 50:90] = -1
    targets = torch.randn(3, 400, 4, generator=torch.Generator().manual_seed(1))
    losses = detection_loss(predictions, labels, targets)
    classification = box = torch.zeros(())
    for i, wanted in enumerate((90, 60, MIN_NEGATIVES)):
        each = -F.log_softmax(predictions.logits[i], dim=1)
        classification = classification + each[labels[i] == 1, 1].sum()
        classification = classification + each[labels[i] == 0, 0].topk(wanted).values.sum()
        face = labels[i] == 1
        box = box + F.smooth_l1_loss(predictions.deltas[i][face], targets[i][face], reduction="sum")
    torch.testing.assert_close(losses.classification, classification / 50)
    torch.testing.assert_close(losses.box, box / 50)
    torch.testing.assert_close(losses.total, losses.classification + losses.box)


def test_no_face_in_the_batch_still_has_a_gradient() -> None:
    predictions = make(2, 100)
    labels = torch.zeros(2, 100, dtype=torch.int8)
    losses = detection_loss(predictions, labels, torch.zeros(2, 100, 4))
    losses.total.backward()
    assert losses.box == 0
    assert predictions.logits.grad is not None and predictions.logits.grad.abs().sum() > 0


def test_untrained_anchors_have_no_gradient() -> None:
    predictions = make(1, 50)
    labels = torch.full((1, 50), -1, dtype=torch.int8)
    labels[0, 0] = 1
    detection_loss(predictions, labels, torch.zeros(1, 50, 4)).total.backward()
    assert predictions.logits.grad is not None
    assert predictions.logits.grad[0, 1:].abs().sum() == 0


def test_hard_negatives_are_never_more_than_there_are() -> None:
    labels = torch.tensor([[1, 1, 0, 0, -1]])
    mask = hard_negatives(torch.tensor([[9.0, 9, 1, 2, 9]]), labels)
    assert mask.tolist() == [[False, False, True, True, False]]
