from typing import Literal

import pytest
import torch
from torch import nn

from s3fd.training.config import OptimiserConfig
from s3fd.training.schedule import learning_rate, make_optimiser

CONFIG = OptimiserConfig(rate=0.1, final=0.01, warmup=10)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.01), (4, 0.05), (9, 0.1), (10, 0.1), (55, 0.0505), (100, 0.001)]
)
def test_warm_up_then_cosine(step: int, rate: float) -> None:
    assert learning_rate(step, 100, CONFIG) == pytest.approx(rate)


def test_a_run_may_end_with_its_warm_up() -> None:
    assert learning_rate(10, 10, CONFIG) == pytest.approx(0.1)


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_only_weights_are_decayed(name: Literal["adamw", "sgd"], kind: type[torch.optim.Optimizer]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    optimiser = make_optimiser(network, OptimiserConfig(name=name, weight_decay=0.3))
    assert type(optimiser) is kind
    decayed, other = optimiser.param_groups
    assert [p.ndim for p in decayed["params"]] == [4, 2] and decayed["weight_decay"] == 0.3
    assert len(other["params"]) == 4 and other["weight_decay"] == 0
    assert all(isinstance(p, torch.Tensor) for p in other["params"])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_with_and_without_momentum(momentum: float) -> None:
    optimiser = make_optimiser(nn.Conv2d(3, 4, 3), OptimiserConfig(name="sgd", momentum=momentum))
    assert [(g["momentum"], g["nesterov"]) for g in optimiser.param_groups] == [(momentum, momentum > 0)] * 2
