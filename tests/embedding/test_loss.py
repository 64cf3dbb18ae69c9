from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from s3fd.embedding.loss import MarginLoss, likeness_loss, teacher_loss


def by_hand(kind: str, cosines: torch.Tensor, right: int) -> float:
    """The loss of one vector with these cosines to the people's directions."""
    logits = cosines.clone()
    if kind == "cosface":
        logits[right] -= 0.3
    else:
        logits[right] = math.cos(math.acos(cosines[right]) + 0.3)
    return float(F.cross_entropy(10 * logits[None], torch.tensor([right])))


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_the_margin_makes_the_right_person_harder(kind: str) -> None:
    loss = MarginLoss(3, 2, kind, margin=0.3, scale=10)
    with torch.no_grad():
        loss.directions.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]]))
    vector = torch.tensor([[0.6, 0.8]])
    for person in range(3):
        assert loss(vector, torch.tensor([person])).item() == pytest.approx(
            by_hand(kind, torch.tensor([0.6, 0.8, -0.6]), person), abs=1e-4
        )


def test_arcface_still_falls_where_the_angle_passes_the_straight_one() -> None:
    loss = MarginLoss(2, 2, "arcface", margin=0.5, scale=1)
    with torch.no_grad():
        loss.directions.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    angles = torch.linspace(0, math.pi - 0.01, 50)
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    losses = [loss(vector[None], torch.tensor([0])).item() for vector in vectors]
    opposite = [v for v, angle in zip(losses, angles, strict=True) if angle > math.pi / 2]
    assert all(math.isfinite(v) for v in losses) and losses[0] == min(losses) and opposite[0] < max(losses)


def test_who_is_not_known_does_not_count() -> None:
    loss = MarginLoss(2, 4)
    vectors = F.normalize(torch.randn(3, 4), dim=1).requires_grad_()
    both = loss(vectors, torch.tensor([-1, 1, -1]))
    assert both.item() == pytest.approx(loss(vectors[1:2], torch.tensor([1])).item())
    nobody = loss(vectors, torch.full((3,), -1))
    nobody.backward()
    assert nobody.item() == 0


def test_the_teacher_is_copied_where_it_said_something() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    taught = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 0.0]])
    assert teacher_loss(vectors, taught).item() == pytest.approx((0 + 0.2) / 2)
    assert teacher_loss(vectors, torch.zeros(3, 2)).item() == 0


def test_a_face_is_to_be_as_like_others_as_the_teacher_says() -> None:
    others = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]), dim=1)
    taught = others[:1].repeat(2, 1)
    near = F.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.3]]), dim=1)
    losses = [likeness_loss(v[None], taught[:1], others, 0.1).item() for v in (taught[0], *near, others[1])]
    assert losses == sorted(losses)
    wanted = F.softmax(others[0] @ others.T / 0.1, dim=0)
    by_hand = -(wanted * F.log_softmax(near[0] @ others.T / 0.1, dim=0)).sum()
    assert losses[1] == pytest.approx(by_hand.item(), abs=1e-5)
    nothing = torch.zeros(2, 2)
    assert likeness_loss(near, nothing, others, 0.1).item() == 0
    both = likeness_loss(near, torch.stack([taught[0], nothing[0]]), others, 0.1).item()
    assert both == pytest.approx(losses[1], abs=1e-5)
