import pytest
import torch
from torch import nn

from s3fd.anchors import STRIDES, anchors, map_sizes
from s3fd.network import S3FD, build
from s3fd.network.heads import max_out
from s3fd.network.slim import Slim
from s3fd.network.vgg16 import VGG16, L2Norm


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def multiply_adds(network: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of all convolutions for one picture."""
    total = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in network.modules()]
    with torch.no_grad():
        network(torch.zeros(1, 3, height, width))
    for handle in handles:
        handle.remove()
    return total


def test_vgg16_has_the_papers_size_and_anchors() -> None:
    network = build("vgg16").eval()
    assert round(parameters(network) / 1e6, 1) == 22.5
    with torch.no_grad():
        predictions = network(torch.zeros(1, 3, 640, 640))
    assert predictions.logits.shape == (1, 34125, 2)
    assert predictions.deltas.shape == (1, 34125, 4)
    assert predictions.map_sizes == [(s, s) for s in (160, 80, 40, 20, 10, 5)]


def test_heads_have_the_papers_channels() -> None:
    heads = build("vgg16").heads
    assert [(c.in_channels, c.out_channels) for c in heads.conf] == [
        (256, 4),
        (512, 2),
        (512, 2),
        (1024, 2),
        (512, 2),
        (256, 2),
    ]
    assert all(c.out_channels == 4 for c in heads.loc)


def test_slim_stays_within_its_budget() -> None:
    network = build("slim").eval()
    assert parameters(network) < 1e6
    assert multiply_adds(network, 480, 640) < 1e9


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (37, 211), (96, 640), (130, 127)])
def test_any_size_gives_one_prediction_an_anchor(size: tuple[int, int]) -> None:
    network = build("slim").eval()
    with torch.no_grad():
        predictions = network(torch.zeros(2, 3, *size))
    assert predictions.map_sizes == map_sizes(*size)
    count = len(anchors(predictions.map_sizes))
    assert predictions.logits.shape == (2, count, 2)
    assert predictions.deltas.shape == (2, count, 4)


def test_pictures_of_a_batch_do_not_influence_each_other() -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    x = torch.randn(3, 3, 96, 64) * 50
    with torch.no_grad():
        together = network(x)
        alone = network(x[1:2])
    torch.testing.assert_close(together.logits[1:2], alone.logits, atol=1e-4, rtol=1e-4)


def test_public_layout_enlarges_the_three_coarsest_maps() -> None:
    network = build("vgg16_public").eval()
    with torch.no_grad():
        sizes = network(torch.zeros(1, 3, 256, 256)).map_sizes
    assert [side for side, _ in sizes] == [64, 32, 16, 12, 6, 3]


def test_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="resnet"):
        build("resnet")


def test_slim_needs_six_stages() -> None:
    with pytest.raises(ValueError, match="six"):
        Slim(widths=(8, 8), depths=(1, 1))


def test_backbone_is_injected() -> None:
    class Constant(nn.Module):
        out_channels = (8,) * 6

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [x.new_zeros(len(x), 8, x.shape[2] // s, x.shape[3] // s) for s in STRIDES]

    predictions = S3FD(Constant(), backgrounds=1)(torch.zeros(1, 3, 128, 128))
    assert predictions.logits.shape[1] == sum((128 // s) ** 2 for s in STRIDES)
    assert torch.sigmoid(predictions.logits[0, :, 1] - predictions.logits[0, :, 0]).max() < 0.02


def test_max_out_takes_the_largest_background() -> None:
    logits = torch.tensor([[0.5, 3.0, -1.0, 2.0]])
    assert max_out(logits).tolist() == [[3.0, 2.0]]


def test_l2_norm_gives_every_cell_the_scale() -> None:
    norms = L2Norm(16, 10)(torch.randn(2, 16, 5, 7)).norm(dim=1)
    torch.testing.assert_close(norms, torch.full((2, 5, 7), 10.0))


def test_a_silenced_layer_sees_no_face() -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    network.heads.silence(0)
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 64, 64) * 50).logits[0]
    scores = torch.sigmoid(logits[:, 1] - logits[:, 0])
    assert scores[:256].max() < 1e-8 and scores[256:].min() > 1e-4


def test_folding_batch_normalisation_leaves_the_papers_layers_and_their_answers() -> None:
    torch.manual_seed(0)
    network = build("vgg16_bn")
    assert isinstance(network.backbone, VGG16)
    for norm in network.backbone.batch_norms.values():
        assert isinstance(norm, nn.BatchNorm2d)
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    x = torch.randn(1, 3, 64, 96) * 50
    with torch.no_grad():
        before = network.eval()(x)
        network.backbone.fold()
        after = network(x)
    assert network.state_dict().keys() == build("vgg16").state_dict().keys()
    torch.testing.assert_close(before.logits, after.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(before.deltas, after.deltas, atol=1e-3, rtol=1e-3)
