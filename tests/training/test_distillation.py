import copy

import pytest
import torch

from s3fd.network import build
from s3fd.network.slim import Slim
from s3fd.training.distillation import LEAST_VARIANCE, Distillation


def slim() -> tuple[Slim, torch.Tensor]:
    torch.manual_seed(0)
    return Slim().eval(), torch.randn(2, 3, 96, 128) * 50


def test_a_backbone_that_did_not_change_has_no_distance() -> None:
    backbone, pictures = slim()
    assert Distillation(backbone)(backbone.bottom_up(pictures)).item() == 0


def test_the_distance_is_the_error_as_a_share_of_the_variance() -> None:
    backbone, pictures = slim()
    distance = Distillation(backbone)
    variances = backbone.fuse(backbone.bottom_up(pictures), 2)[0].var((0, 2, 3), unbiased=False)
    before = backbone.lateral[2].forward

    def shifted(x: torch.Tensor) -> torch.Tensor:
        return before(x) + variances.sqrt()[:, None, None] / 2

    backbone.lateral[2].forward = shifted  # type: ignore[method-assign]
    shares = 0.25 * variances / variances.clamp(min=LEAST_VARIANCE)
    assert shares.mean() > 0.1
    assert torch.isclose(distance(backbone.bottom_up(pictures)), shares.mean() / 4, rtol=1e-3)


@pytest.mark.parametrize("first", [1, 2])
def test_what_may_learn_is_all_that_gets_a_gradient(first: int) -> None:
    backbone, pictures = slim()
    distance = Distillation(backbone, first=first)
    backbone.requires_grad_(False)
    distance.learning().requires_grad_(True)
    with torch.no_grad():
        for parameter in distance.learning().parameters():
            parameter.mul_(1.1)
    distance(backbone.bottom_up(pictures)).backward()
    touched = {
        name.split(".")[0] + name.split(".")[1]
        for name, p in backbone.named_parameters()
        if p.grad is not None
    }
    assert touched == {f"{part}{i}" for part in ("stages", "lateral") for i in range(first, 6)}


@pytest.mark.parametrize("first", [1, 2])
def test_equal_maps_from_the_first_stage_on_are_an_equal_detector(first: int) -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    pictures = torch.randn(1, 3, 96, 128) * 50
    other = copy.deepcopy(network)
    assert isinstance(network.backbone, Slim) and isinstance(other.backbone, Slim)
    with torch.no_grad():
        for stage in list(other.backbone.stages)[first:]:
            for parameter in stage.parameters():
                parameter.zero_()
    stages = network.backbone.bottom_up(pictures)
    mixed = [*other.backbone.bottom_up(pictures)[:first], *stages[first:]]
    assert torch.equal(network.heads(network.backbone.top_down(mixed)).logits, network(pictures).logits)
