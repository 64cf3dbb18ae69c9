import pytest
import torch

from s3fd.network import S3FD, build
from s3fd.training.ema import WeightAverage


def filled(value: int) -> S3FD:
    """A network in which every number is `value`."""
    network = build("slim").train()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)
    return network


@pytest.mark.parametrize(
    ("decay", "step", "expected"), [(0.9, 0, 9.0), (0.9, 2, 7.5), (0.9, 10_000, 1.0), (0.0, 10_000, 10.0)]
)
def test_early_steps_move_the_average_further(decay: float, step: int, expected: float) -> None:
    average = WeightAverage(filled(0), decay)
    average.update(filled(10), step)
    for tensor in average.module.state_dict().values():
        torch.testing.assert_close(
            tensor, torch.full_like(tensor, expected if tensor.is_floating_point() else 10)
        )


def test_the_average_is_a_copy_that_is_not_trained() -> None:
    network = filled(0)
    average = WeightAverage(network, 0.9).module
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert not any(part.training for part in average.modules())
    assert not any(p.requires_grad for p in average.parameters())
