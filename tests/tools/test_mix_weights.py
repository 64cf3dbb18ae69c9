"""What of two weights is mixed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from scripts import load_script

from s3fd.network import build
from s3fd.network.attributes import Attribute


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "tools" / "mix_weights.py")


def test_the_detector_is_mixed_and_the_attribute_stays(tool: ModuleType) -> None:
    torch.manual_seed(0)
    a = build("slim", attributes=[Attribute("mask", ("no", "yes"), kind="branch", layers=(2, 3))])
    b = build("slim")
    before = {name: tensor.clone() for name, tensor in a.state_dict().items()}
    tool.mix(a, b, 0.4)
    for name, tensor in a.state_dict().items():
        if name.startswith("attribute_heads."):
            assert torch.equal(tensor, before[name])
        elif tensor.is_floating_point():
            assert torch.allclose(tensor, 0.4 * before[name] + 0.6 * b.state_dict()[name], atol=1e-6)
    with pytest.raises(ValueError, match=r"do not fit each other: backbone.* more do not match"):
        tool.mix(build("vgg16"), b, 0.5)


def test_everything_is_mixed_if_asked(tool: ModuleType) -> None:
    torch.manual_seed(0)
    attribute = Attribute("mask", ("no", "yes"), kind="branch", layers=(2, 3))
    a, b = (build("slim", attributes=[attribute]) for _ in range(2))
    before = {name: tensor.clone() for name, tensor in a.state_dict().items()}
    tool.mix(a, b, 0.4, everything=True)
    for name, tensor in a.state_dict().items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, 0.4 * before[name] + 0.6 * b.state_dict()[name], atol=1e-6)
    with pytest.raises(ValueError, match=r"do not fit each other: attribute_heads.mask.* is missing"):
        tool.mix(a, build("slim"), 0.5, everything=True)
