import pytest
import torch

from s3fd.network import build
from s3fd.network.attributes import Attribute, AttributeHead, copy_face_channel
from s3fd.network.branch import AttributeBranch

GENDER = Attribute("gender", ("female", "male"))


def maps(channels: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, 32 >> i or 1, 48 >> i or 1, generator=generator) for i in range(6)]


def by_layer(logits: torch.Tensor, features: list[torch.Tensor]) -> list[torch.Tensor]:
    """Split (B, A, C) into maps (B, C, H, W)."""
    parts = logits.split([m.shape[2] * m.shape[3] for m in features], dim=1)
    return [p.transpose(1, 2).unflatten(2, m.shape[2:]) for p, m in zip(parts, features, strict=True)]


def test_every_class_starts_as_the_face_classifier_of_its_layer() -> None:
    network = build("slim")
    with torch.no_grad():
        for conf in network.heads.conf:
            conf.weight.normal_()
            conf.bias.normal_()
    head = network.add(Attribute("mood", ("sad", "neutral", "glad")))
    copy_face_channel(head, network.heads)
    for layer, conv in zip((1, 2, 3, 4), head.conv, strict=True):
        face = network.heads.conf[layer]
        for k in range(3):
            assert torch.equal(conv.weight[k], face.weight[1])
            assert torch.equal(conv.bias[k], face.bias[1])


def test_of_several_backgrounds_the_face_channel_is_the_last() -> None:
    network = build("slim", backgrounds=3)
    head = network.add(Attribute("gender", ("female", "male"), layers=(0,)))
    copy_face_channel(head, network.heads)
    assert torch.equal(head.conv[0].weight[0], network.heads.conf[0].weight[3])


def test_random_heads_differ_from_class_to_class() -> None:
    head = AttributeHead(GENDER, [8] * 6)
    assert not torch.equal(head.conv[0].weight[0], head.conv[0].weight[1])


def test_a_layer_without_a_head_has_its_neighbours_answer_at_the_same_place() -> None:
    features = maps()
    head = AttributeHead(GENDER, [8] * 6)
    parts = by_layer(head(features).spread(), features)
    torch.testing.assert_close(parts[1], head.conv[0](features[1]))
    torch.testing.assert_close(parts[4], head.conv[3](features[4]))
    torch.testing.assert_close(parts[0], parts[1].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    assert parts[5].shape[2:] == features[5].shape[2:]
    torch.testing.assert_close(parts[5][..., 0, 0], parts[4][..., 0, 0])


def test_a_tower_is_one_for_all_its_layers() -> None:
    features = maps()
    head = AttributeHead(
        Attribute("gender", ("female", "male"), kind="tower", layers=(1, 2, 3, 4, 5)), [8] * 6
    )
    head.eval()
    parts = by_layer(head(features).spread(), features)
    assert len(head.conv) == 1
    for layer in (1, 3, 5):
        torch.testing.assert_close(parts[layer], head.conv[0](head.tower(features[layer])))


def test_probabilities_are_the_softmax_of_the_logits_at_a_temperature() -> None:
    said = AttributeHead(GENDER, [8] * 6)(maps())
    torch.testing.assert_close(said.probabilities(2.0), torch.softmax(said.spread() / 2.0, dim=-1))


def test_towers_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(ValueError, match="channels"):
        AttributeHead(Attribute("gender", ("f", "m"), kind="tower"), [8, 8, 16, 8, 8, 8])
    network = build("slim")
    with pytest.raises(ValueError, match="copies"):
        copy_face_channel(network.add(Attribute("gender", ("f", "m"), kind="tower")), network.heads)


@pytest.mark.parametrize(
    "name", ["", "a.b", "type", "keys", "score", "x1", "error", "boxes", "pictures", "track"]
)
def test_an_attribute_needs_a_name_that_means_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="another name"):
        Attribute(name, ("f", "m"))


@pytest.mark.parametrize("classes", [(), ("one",), ("same", "same")])
def test_an_attribute_needs_different_classes(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="classes"):
        Attribute("gender", classes)


@pytest.mark.parametrize("layers", [(), (2, 1), (1, 1), (5, 6)])
def test_an_attribute_needs_layers_that_exist(layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="layers"):
        Attribute("gender", ("f", "m"), layers=layers)


def test_the_detector_answers_the_same_with_and_without_attributes() -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    picture = torch.randn(1, 3, 96, 160) * 50
    plain = network(picture)
    network.add(GENDER)
    network.add(Attribute("mask", ("bare", "mask", "incorrect"), kind="tower"))
    both = network.eval()(picture)
    assert torch.equal(plain.logits, both.logits) and torch.equal(plain.deltas, both.deltas)
    assert both.attributes["gender"].spread().shape == (1, plain.logits.shape[1], 2)
    assert both.attributes["mask"].spread().shape == (1, plain.logits.shape[1], 3)


def test_an_attribute_of_the_same_name_is_replaced() -> None:
    network = build("slim")
    network.add(GENDER)
    network.add(Attribute("gender", ("a", "b", "c")))
    assert [a.classes for a in network.attributes] == [("a", "b", "c")]
    network.calibrate("gender", 2.5)
    assert network.attributes[0].temperature == 2.5


def test_a_branch_answers_every_anchor_and_leaves_the_detector_alone() -> None:
    torch.manual_seed(0)
    network = build("slim").eval()
    x = torch.randn(2, 3, 96, 70) * 50
    with torch.no_grad():
        before = network(x)
        network.add(Attribute("gender", ("f", "m"), kind="branch", layers=(2, 3, 4), depth=2))
        after = network.eval()(x)
    assert torch.equal(before.logits, after.logits) and torch.equal(before.deltas, after.deltas)
    logits = after.attributes["gender"].spread()
    assert logits.shape == (*before.logits.shape[:2], 2)
    per_map = logits.split([h * w for h, w in before.map_sizes], dim=1)
    (fine_height, fine_width), (height, width) = before.map_sizes[1:3]
    fine = per_map[1].view(2, fine_height, fine_width, 2)
    coarse = per_map[2].view(2, height, width, 2)
    assert torch.equal(fine[:, 0, 0], coarse[:, 0, 0]) and torch.equal(fine[:, -1, -1], coarse[:, -1, -1])


def branch_and_stages(depth: int) -> tuple[AttributeBranch, list[torch.Tensor]]:
    """A branch, and what the stages that it reads give for noise."""
    torch.manual_seed(0)
    network = build("slim").eval()
    branch = network.add(Attribute("gender", ("f", "m"), kind="branch", layers=(2, 3), depth=depth)).eval()
    assert isinstance(branch, AttributeBranch)
    with torch.no_grad():
        return branch, list(network.backbone.bottom_up(torch.randn(1, 3, 96, 96) * 50))


def test_a_branch_sees_the_finest_stage_and_begins_without_it() -> None:
    branch, stages = branch_and_stages(depth=1)
    with torch.no_grad():
        others = [torch.zeros_like(stages[0]), *stages[1:]]
        assert torch.equal(branch(stages).own[2], branch(others).own[2])
        branch.fine[-1].weight.fill_(1.0)
        assert not torch.equal(branch(stages).own[2], branch(others).own[2])


def test_a_branch_takes_what_is_positive_of_the_second_stage_and_runs_every_block() -> None:
    branch, stages = branch_and_stages(depth=2)
    with torch.no_grad():
        nothing, negative = (
            branch([stages[0], second, *stages[2:]])
            for second in (torch.zeros_like(stages[1]), -1 - stages[1].abs())
        )
        assert torch.equal(nothing.own[2], negative.own[2])
        before = branch(stages).own
        for weight in branch.blocks[1].parameters():
            weight.zero_()
        after = branch(stages).own
    assert torch.equal(before[2], after[2]) and not torch.equal(before[3], after[3])


def test_coarse_layers_of_a_branch_are_shallow() -> None:
    branch = AttributeBranch(
        Attribute("gender", ("f", "m"), kind="branch", layers=(2, 3, 4, 5), depth=3),
        build("slim").backbone.stage_channels,
    )
    assert [len(blocks) for blocks in branch.blocks] == [2, 2, 0, 0]


def test_a_branch_needs_slim_and_layers_in_a_row() -> None:
    with pytest.raises(ValueError, match="slim"):
        build("vgg16").add(Attribute("gender", ("f", "m"), kind="branch", layers=(2, 3, 4)))
    for layers in ((1, 2, 3), (2, 4)):
        with pytest.raises(ValueError, match="needs consecutive layers"):
            build("slim").add(Attribute("gender", ("f", "m"), kind="branch", layers=layers))


def test_a_picture_head_says_one_thing_of_a_picture() -> None:
    torch.manual_seed(0)
    network = build("slim", attributes=[Attribute("person", ("a", "b", "c"), kind="picture", layers=(5,))])
    with torch.no_grad():
        said = network.eval()(torch.randn(2, 3, 96, 160) * 50)
    logits = said.attributes["person"].spread()
    assert logits.shape == (*said.logits.shape[:2], 3)
    assert torch.equal(logits, logits[:, :1].expand_as(logits))
    assert not torch.equal(logits[0, 0], logits[1, 0])


def test_a_picture_head_reads_one_layer() -> None:
    with pytest.raises(ValueError, match="one layer"):
        build("slim", attributes=[Attribute("person", ("a", "b"), kind="picture", layers=(4, 5))])


def test_a_branch_starts_with_the_features_of_the_first_of_its_shape() -> None:
    torch.manual_seed(0)
    shallow, deep = (
        Attribute(f"depth{depth}", ("a", "b"), kind="branch", layers=(2, 3, 4), depth=depth)
        for depth in (1, 2)
    )
    later = Attribute("later", ("a", "b"), kind="branch", layers=(2, 3, 4), depth=2)
    network = build("slim", attributes=[GENDER, shallow, deep, later])
    person = AttributeBranch(
        Attribute("person", ("x", "y", "z"), kind="branch", layers=(2, 3, 4), depth=2),
        network.backbone.stage_channels,
    )
    before = person.conv[0].weight.clone()
    person.copy_features(network.attribute_heads.values())
    theirs = network.attribute_heads["depth2"].state_dict()
    shared = {name: t for name, t in person.state_dict().items() if not name.startswith("conv.")}
    assert len(shared) > 50
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in shared.items())
    assert torch.equal(person.conv[0].weight, before)
