import pytest
import torch

from s3fd.network.slim import SeparableBlock
from s3fd.training.config import NetworkConfig


def test_a_block_that_may_be_skipped_is_skipped_for_some_pictures_of_a_batch() -> None:
    torch.manual_seed(3)
    block = SeparableBlock(4, 4)
    for norm in (block.depthwise[1], block.pointwise[1]):
        norm.eval()  # so that pictures do not depend on each other
    x = torch.rand(400, 4, 6, 6)
    with torch.no_grad():
        whole = block(x) - x
        block.drop = 0.3
        part = block(x) - x
        skipped = (part == 0).flatten(1).all(dim=1)
        assert 80 < skipped.sum() < 160
        torch.testing.assert_close(part[~skipped], whole[~skipped] / 0.7)
        torch.testing.assert_close(block.eval()(x) - x, whole)


def test_a_block_without_a_skip_is_never_left_out() -> None:
    block = SeparableBlock(4, 8)
    block.drop = 0.9
    with torch.no_grad():
        assert (block(torch.rand(20, 4, 6, 6)).flatten(1) > 0).any(dim=1).all()


def test_only_slim_has_blocks_to_skip() -> None:
    with pytest.raises(ValueError, match="needs the backbone slim"):
        NetworkConfig(backbone="vgg16", drop=0.1)
