import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from s3fd import boxes as box_ops
from s3fd.network.heads import Predictions
from s3fd.training.losses import MIN_NEGATIVES, box_overlap, detection_loss, hard_negatives


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


@pytest.mark.parametrize(("faces", "expected"), [(None, 11 / 6), (torch.tensor(4), 11 / 12)])
def test_giou_replaces_smooth_l1_with_its_weight(faces: torch.Tensor | None, expected: float) -> None:
    labels = torch.tensor([[0, 1, -1, 1]], dtype=torch.int8)
    found = torch.full((1, 4, 4), 7.0)
    # A third of an anchor aside, GIoU is 1/2; two anchors aside, -1/3.
    found[0, 1], found[0, 3] = torch.tensor([10 / 3, 0, 0, 0]), torch.tensor([20.0, 0, 0, 0])
    predictions = Predictions(torch.zeros(1, 4, 2), found, [])
    losses = detection_loss(predictions, labels, torch.zeros(1, 4, 4), giou_weight=2.0, faces=faces)
    assert losses.box.item() == pytest.approx(expected)
    torch.testing.assert_close(losses.total, losses.classification + losses.box)


@pytest.mark.parametrize("giou_weight", [0.0, 2.0])
def test_half_precision_is_only_that_of_the_predictions(giou_weight: float) -> None:
    half = Predictions(*(tensor.detach().bfloat16() for tensor in make(1, 40)[:2]), [])
    whole = Predictions(half.logits.float(), half.deltas.float(), [])
    labels = torch.tensor([[1, 0] * 20], dtype=torch.int8)
    deltas = torch.full((1, 40, 4), 1 / 3)
    found, expected = (
        detection_loss(each, labels, deltas, quality=True, giou_weight=giou_weight) for each in (half, whole)
    )
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=0, atol=0)


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


@given(st.integers(0, 2**32 - 1))
def test_hard_negatives_are_those_of_sorting_each_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], (3, 200), p=rng.dirichlet([1, 3, 1]))
    loss = rng.permutation(600).reshape(3, 200).astype(np.float32)
    mask = hard_negatives(torch.from_numpy(loss), torch.from_numpy(labels)).numpy()
    for own, label, chosen in zip(loss, labels, mask, strict=True):
        count = max(3 * int((label == 1).sum()), MIN_NEGATIVES)
        assert sorted(own[chosen]) == sorted(own[label == 0])[-count:]


def test_overlap_of_coded_boxes_is_that_of_the_boxes() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(50, 4, generator=generator) * 2 for _ in range(2))
    anchors = np.array([[32, 48, 96, 112]] * 50, np.float32)
    boxes = [box_ops.decode(coded.numpy(), anchors) for coded in (a, b)]
    expected = np.diag(box_ops.iou(*boxes))
    iou, giou = box_overlap(a, b)
    np.testing.assert_allclose(iou, expected, atol=1e-4)
    hull = np.concatenate(
        [np.minimum(boxes[0][:, :2], boxes[1][:, :2]), np.maximum(boxes[0][:, 2:], boxes[1][:, 2:])], axis=1
    )
    union = (box_ops.area(boxes[0]) + box_ops.area(boxes[1])) / (1 + expected)
    np.testing.assert_allclose(giou, expected - 1 + union / box_ops.area(hull), atol=1e-4)


def test_overlap_of_boxes_beyond_all_measure_is_finite() -> None:
    iou, giou = box_overlap(torch.tensor([[0.0, 0.0, 1e6, 0.0]]), torch.zeros(1, 4))
    assert iou.item() == giou.item() == pytest.approx(math.exp(-6))


def test_giou_of_a_perfect_box_is_one_and_pulls_boxes_that_do_not_touch() -> None:
    target = torch.tensor([[0.0, 0.0, 0.0, 0.0]])
    assert box_overlap(target, target)[1].item() == 1
    far = torch.tensor([[30.0, 0.0, 0.0, 0.0]], requires_grad=True)  # three anchors to the right
    giou = box_overlap(far, target)[1]
    assert giou.item() < 0
    (-giou).backward()
    assert far.grad is not None and far.grad[0, 0] > 0


def test_quality_asks_for_the_overlap_as_score() -> None:
    labels = torch.zeros(1, 40, dtype=torch.int8)
    labels[0, 0] = 1
    deltas = torch.zeros(1, 40, 4)
    found = torch.zeros(1, 40, 4)
    found[0, 0, 0] = 10 / 3  # a third of an anchor to the right: IoU 1/2
    gradients = []
    for score in (0.4, 0.5, 0.6):
        logits = torch.zeros(1, 40, 2)
        logits[0, 0, 1] = math.log(score / (1 - score))
        logits.requires_grad_()
        detection_loss(Predictions(logits, found, []), labels, deltas, quality=True).total.backward()
        assert logits.grad is not None
        gradients.append(logits.grad[0, 0, 1].item())
    assert gradients[0] < -0.05 and abs(gradients[1]) < 1e-4 and gradients[2] > 0.05


def test_focal_punishes_by_the_error_squared_and_every_anchor() -> None:
    labels = torch.tensor([[1, 0, 0, -1]], dtype=torch.int8)
    logits = torch.zeros(1, 4, 2)
    logits[0, :, 1] = torch.tensor([1.0, -2.0, 0.5, 3.0])
    wanted = torch.tensor([[0.8, 0.0, 0.0, 0.0]])
    predictions = Predictions(logits, torch.zeros(1, 4, 4), [])
    losses = detection_loss(predictions, labels, torch.zeros(1, 4, 4), focal=True, scores=wanted)
    score = torch.sigmoid(logits[0, :3, 1])
    target = wanted[0, :3]
    entropy = -(target * score.log() + (1 - target) * (1 - score).log())
    torch.testing.assert_close(losses.classification, ((score - target) ** 2 * entropy).sum())
    plain = detection_loss(predictions, labels, torch.zeros(1, 4, 4), scores=wanted)
    torch.testing.assert_close(plain.classification, entropy.sum())
