"""Networks without their batch normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from s3fd.network import build
from s3fd.network.attributes import Attribute
from s3fd.network.embedding import Embedding
from s3fd.network.folding import folded


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    gender = Attribute("gender", ("a", "b"), "branch", (2, 3, 4, 5), 1)
    network = build("slim", attributes=[gender, Attribute("mask", ("a", "b"), "layers", (2, 3))])
    network.embed(Embedding(dimension=8, layers=(2,)))
    for norm in norms(network):  # as training leaves them
        nn.init.uniform_(norm.running_mean, -0.2, 0.2)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
    return network.eval()


@torch.no_grad()
def test_a_folded_network_says_the_same(network: nn.Module) -> None:
    pictures = torch.rand(2, 3, 192, 160) * 255 - 100
    before, after = network(pictures), folded(network)(pictures)
    torch.testing.assert_close(before.logits, after.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(before.deltas, after.deltas, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(before.embedding, after.embedding, rtol=1e-4, atol=1e-4)
    for name in ("gender", "mask"):
        told, read = (answer.attributes[name].spread() for answer in (before, after))
        torch.testing.assert_close(told, read, rtol=1e-4, atol=1e-4)


def test_answers_are_given_by_taps(network: nn.Module) -> None:
    assert all(isinstance(conv, nn.Sequential) for conv in folded(network).attribute_heads["mask"].conv)
    assert all(isinstance(conv, nn.Conv2d) for conv in network.attribute_heads["mask"].conv)


def test_nothing_stays_normalised(network: nn.Module) -> None:
    before, plain = len(norms(network)), folded(network.train())
    assert not norms(plain)
    assert len(norms(network)) == before > 100, "the network itself was changed"
    assert network.training and not plain.training
