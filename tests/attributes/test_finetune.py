import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from s3fd import anchors as anchor_ops
from s3fd.attributes import finetune as training
from s3fd.attributes.config import FinetuneConfig, InitialHeadConfig, JointConfig, load_config
from s3fd.attributes.finetune import Step, add_head, finetune, split
from s3fd.attributes.learners import Frozen
from s3fd.attributes.run import detector_weights
from s3fd.attributes.stream import Batch, LabelledStream
from s3fd.attributes.unlabelled import UnlabelledStream
from s3fd.data.labels import LabelledPicture, Labels, read
from s3fd.data.targets import Target
from s3fd.network import S3FD, build
from s3fd.network.branch import AttributeBranch
from s3fd.network.slim import Slim
from s3fd.training.attribute_loss import attribute_loss
from s3fd.training.config import OptimiserConfig
from s3fd.training.dataset import normalise
from s3fd.training.journal import open_journal
from s3fd.training.trainer import TrainingError
from s3fd.weights.network_file import load_network

QUICK = FinetuneConfig(
    size=128,
    batch=4,
    epochs=6,
    min_face_score=0.0,
    distort=False,
    optimiser=OptimiserConfig(rate=0.03, warmup=1, weight_decay=0),
)


@pytest.fixture
def labels(coloured: Path) -> Labels:
    return read(coloured / "index.csv", coloured / "pictures", ["Colour"])


def test_the_head_learns_and_nothing_else_changes(labels: Labels, detector_file: Path) -> None:
    network = load_network(detector_file)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps: list[Step] = []
    finetune(
        network, "colour", labels.targets[0], labels.pictures, QUICK, lambda step, total: steps.append(step)
    )
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert [step.number for step in steps] == list(range(1, 25))
    assert steps[-1].loss < steps[0].loss and steps[-1].accuracy > 0.75  # grey borders have no colour
    stream = LabelledStream(labels.pictures, "Colour", 128, 5, flip=False, distort=False)
    (batch,) = stream.batches(0, 1, 16)
    told = network(normalise(batch.pictures)).attributes["colour"].spread().mean(dim=1).argmax(dim=1)
    assert torch.equal(told, batch.targets[:, 0])


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_that_is_told_is_a_mean(labels: Labels, detector_file: Path, balanced: bool) -> None:
    network = load_network(detector_file)
    head = InitialHeadConfig(layers=(1, 2), initial="random")
    config = QUICK.model_copy(update={"balanced": balanced, "epochs": 1, "head": head})
    steps: list[Step] = []
    finetune(
        network, "colour", labels.targets[0], labels.pictures, config, lambda step, total: steps.append(step)
    )
    assert steps[0].loss == pytest.approx(math.log(2), rel=0.2)  # a head that knows nothing yet


def test_where_the_detector_sees_no_face_nothing_is_learnt(labels: Labels, detector_file: Path) -> None:
    network = load_network(detector_file)
    blind = QUICK.model_copy(update={"min_face_score": 0.9, "epochs": 1})
    start = add_head(load_network(detector_file), "colour", labels.targets[0], blind)
    steps: list[Step] = []
    finetune(
        network, "colour", labels.targets[0], labels.pictures, blind, lambda step, total: steps.append(step)
    )
    assert sum(step.without_face for step in steps) == 16
    assert all(math.isnan(step.loss) and step.cells == 0 for step in steps)
    ours = network.attribute_heads["colour"].state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in start.state_dict().items())


def test_the_same_seed_gives_the_same_weights(labels: Labels, detector_file: Path) -> None:
    each = []
    for _ in range(2):
        network = load_network(detector_file)
        finetune(
            network, "colour", labels.targets[0], labels.pictures, QUICK.model_copy(update={"epochs": 1})
        )
        each.append(network.attribute_heads["colour"].state_dict())
    assert all(torch.equal(each[0][name], each[1][name]) for name in each[0])


def test_split_keeps_groups_apart(labels: Labels) -> None:
    learning, testing = split(labels.pictures, 0.25, 0)
    assert (len(learning), len(testing)) == (12, 4)
    learning, testing = split(labels.pictures, 0.25, 0, "Batch")
    assert len(testing) == 4
    assert not {p.extra["Batch"][0] for p in learning} & {p.extra["Batch"][0] for p in testing}


def test_split_tells_apart_everybody_in_a_picture(coloured: Path) -> None:
    table = coloured / "album.csv"
    rows = [
        f"{i}.png,{x},1,{x + 9},20,{'blue' if x < 20 else 'red'},{(i + x // 20) % 6}"
        for i in range(9)
        for x in (1, 30)
    ]
    table.write_text("\n".join(["image,x1,y1,x2,y2,Colour,Person", *rows]), encoding="utf-8")
    pictures = read(table, coloured / "pictures", ["Colour"]).pictures
    for seed in range(5):
        learning, testing = split(pictures, 0.3, seed, "Person")
        assert len(learning) + len(testing) == len(pictures) and learning and testing
        learnt = {name for item in learning for name in item.extra["Person"]}
        known = [
            (n, k)
            for item in testing
            for n, k in zip(item.extra["Person"], item.labels["Colour"], strict=True)
        ]
        assert {name for name, label in known if label >= 0}.isdisjoint(learnt)
        assert any(label < 0 for _, label in known)


def test_split_takes_nobody_without_a_name_for_the_same(coloured: Path) -> None:
    table = coloured / "unnamed.csv"
    table.write_text(
        "Image_Name,Colour,Person\n"
        + "".join(f"{i},{'blue' if i % 2 else 'red'},{('', 'Unknown')[i // 8]}\n" for i in range(16)),
        encoding="utf-8",
    )
    learning, testing = split(read(table, coloured / "pictures", ["Colour"]).pictures, 0.25, 0, "Person")
    assert (len(learning), len(testing)) == (12, 4)


@pytest.mark.parametrize("group", [None, "Person"])
def test_split_is_the_same_in_any_folder(coloured: Path, group: str | None) -> None:
    table = coloured / "unnamed.csv"
    rows = [f"{i},{'blue' if i % 2 else 'red'},{('Ada', 'Bob', '', 'unknown')[i % 4]}\n" for i in range(16)]
    table.write_text("Image_Name,Colour,Person\n" + "".join(rows), encoding="utf-8")
    tested = []
    for folder in ("A", "Bo", "z"):
        (coloured / folder).symlink_to(coloured / "pictures")
        _, testing = split(read(table, coloured / folder, ["Colour"]).pictures, 0.4, 0, group)
        tested.append([item.path.name for item in testing])
    assert tested[0] and tested == tested[:1] * 3


def test_split_holds_someone_out_wherever_it_is_to(labels: Labels) -> None:
    assert len(split(labels.pictures, 0.01, 0)[1]) == 1
    assert len(split(labels.pictures, 0.01, 0, "Batch")[1]) == 4
    assert split(labels.pictures, 0, 0)[1] == []
    assert split(labels.pictures[:1], 0.1, 0)[1] == []


def test_labels_of_boxes_go_to_the_anchors_on_them(coloured: Path) -> None:
    table = coloured / "boxes.csv"
    table.write_text(
        "image,x1,y1,x2,y2,Colour\n0.png,10,10,50,60,blue\n1.png,5,5,40,50,red\n", encoding="utf-8"
    )
    labels = read(table, coloured / "pictures", ["Colour"])
    stream = LabelledStream(labels.pictures, "Colour", 128, 0, flip=True, distort=True)
    for batch in stream.batches(0, 4, 2):
        for targets, name in zip(batch.targets.numpy(), batch.names, strict=True):
            known = targets[targets >= 0]
            assert 0 < len(known) < 60
            assert set(known) == {0 if name.endswith("0.png") else 1}


def test_an_unreadable_picture_is_left_out_of_its_batch(labels: Labels) -> None:
    labels.pictures[3].path.write_bytes(b"no picture")
    stream = LabelledStream(labels.pictures, "Colour", 128, 0, flip=True, distort=True)
    batches = list(stream.batches(0, 4, 4))
    assert sorted(len(b.names) for b in batches) == [3, 4, 4, 4]
    (why,) = [why for b in batches for why in b.left_out]
    assert why == f"{labels.pictures[3].path}: not a picture of a known format"


def test_a_picture_with_all_labelled_boxes_outside_is_left_out(coloured: Path) -> None:
    table = coloured / "boxes.csv"
    rows = "image,x1,y1,x2,y2,Colour\n0.png,10,10,50,60,blue\n1.png,500,5,540,50,red\n1.png,1,5,9,50,?\n"
    table.write_text(rows, encoding="utf-8")
    labels = read(table, coloured / "pictures", ["Colour"])
    (batch,) = LabelledStream(labels.pictures, "Colour", 128, 0, flip=True, distort=True).batches(0, 1, 2)
    assert [Path(name).name for name in batch.names] == ["0.png"]
    assert batch.left_out == [f"{coloured / 'pictures' / '1.png'}: no labelled box lies inside the picture"]


def test_nothing_to_train_on_is_an_error(labels: Labels, detector_file: Path) -> None:
    with pytest.raises(ValueError, match="no picture"):
        finetune(load_network(detector_file), "colour", labels.targets[0], [], QUICK)


def test_whole_pictures_are_shown_whole(labels: Labels) -> None:
    stream = LabelledStream(labels.pictures, "Colour", 128, 0, flip=False, distort=False)
    (batch,) = stream.batches(0, 1, 16)
    pixels = batch.pictures.numpy().astype(int)
    strong = (np.abs(pixels - np.array([104, 117, 123])[:, None, None]).max(axis=1) > 70).mean(axis=(1, 2))
    share = 90 * 70 / 90**2
    assert (strong > 0.9 * share / 1.5**2).all() and (strong < 1.1 * share).all()


def test_a_head_that_is_kept_goes_on_from_what_it_knew(labels: Labels, detector_file: Path) -> None:
    network = load_network(detector_file)
    with pytest.raises(ValueError, match="no head colour"):
        add_head(network, "colour", labels.targets[0], kept())
    finetune(network, "colour", labels.targets[0], labels.pictures, QUICK)
    network.calibrate("colour", 3.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps: list[Step] = []
    finetune(
        network, "colour", labels.targets[0], labels.pictures, kept(), lambda step, total: steps.append(step)
    )
    assert steps[0].accuracy > 0.75 and network.attributes[0].temperature == 1
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith("attribute_heads.colour.") for name in changed)


def test_a_head_that_is_kept_has_the_same_classes(labels: Labels, detector_file: Path) -> None:
    network = load_network(detector_file)
    (target,) = labels.targets
    add_head(network, "colour", target, QUICK)
    turned = Target(target.column, target.values[::-1], target.names[::-1])
    with pytest.raises(ValueError, match=r"colour has the classes blue, red in .*red, blue in the labels"):
        add_head(network, "colour", turned, kept())
    with pytest.raises(ValueError, match="no head hue"):
        add_head(network, "hue", target, kept())
    deeper = kept().model_copy(update={"head": kept().head.model_copy(update={"layers": (1, 2)})})
    with pytest.raises(ValueError, match="head colour of the weights does not fit the configuration"):
        add_head(network, "colour", target, deeper)


@pytest.mark.parametrize("name", ["gender", "sex"])
def test_a_new_branch_starts_with_the_features_of_the_bundled_one(name: str) -> None:
    network = load_network(detector_weights("slim"))
    before = network.attribute_heads["gender"]
    assert isinstance(before, AttributeBranch)
    head = add_head(network, name, Target("Sex", ("f", "m"), ("f", "m")), load_config("branch"))
    assert isinstance(head, AttributeBranch) and head is not before
    new, old = head.state_dict(), before.state_dict()
    assert {key.split(".")[0] for key in new if not torch.equal(new[key], old[key])} == {"conv"}


def test_its_own_name_goes_before_other_branches(detector_file: Path) -> None:
    network = load_network(detector_file)
    target = Target("Sex", ("f", "m"), ("f", "m"))
    branch = InitialHeadConfig(kind="branch", layers=(2, 3), depth=1, initial="random")
    config = QUICK.model_copy(update={"head": branch})
    for seed, name in enumerate(("age", "sex")):
        add_head(network, name, target, config.model_copy(update={"seed": seed}))
    own = network.attribute_heads["sex"].state_dict()
    copying = config.model_copy(update={"head": branch.model_copy(update={"initial": "copy"}), "seed": 2})
    new = add_head(network, "sex", target, copying).state_dict()
    assert torch.equal(new["fine.1.weight"], own["fine.1.weight"])


def kept() -> FinetuneConfig:
    return QUICK.model_copy(update={"head": QUICK.head.model_copy(update={"initial": "kept"})})


def test_frozen_statistics_of_a_kept_head_stay_while_the_rest_of_it_learns(
    boxed: Labels, detector_file: Path
) -> None:
    branch = InitialHeadConfig(kind="branch", layers=(2, 3), depth=1, initial="random")
    start = QUICK.model_copy(update={"head": branch, "epochs": 1})
    network = load_network(detector_file)
    finetune(network, "colour", boxed.targets[0], boxed.pictures, start)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    go_on = start.model_copy(
        update={"head": branch.model_copy(update={"initial": "kept"}), "frozen_statistics": True}
    )
    finetune(network, "colour", boxed.targets[0], boxed.pictures, go_on)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.endswith("down.0.pointwise.1.bias") for name in changed)
    assert not any(name.endswith(("running_mean", "running_var")) for name in changed)


def test_a_new_head_has_no_statistics_to_freeze() -> None:
    with pytest.raises(ValueError, match=r"needs head\.initial: kept"):
        FinetuneConfig(frozen_statistics=True)


@pytest.mark.parametrize(
    ("name", "ways"), [("tilt", "compose: true or single: true"), ("hide", "composed pictures")]
)
def test_pictures_as_they_are_have_no_faces_to_vary(name: str, ways: str) -> None:
    with pytest.raises(ValueError, match=f"{name} only applies to .*{ways}"):
        FinetuneConfig.model_validate({name: 0.3})
    FinetuneConfig.model_validate({name: 0.3, "compose": True})


def test_faces_are_composed_or_shown_by_themselves() -> None:
    FinetuneConfig.model_validate({"tilt": 0.3, "single": True})
    with pytest.raises(ValueError, match="compose and single cannot"):
        FinetuneConfig.model_validate({"compose": True, "single": True})


@pytest.mark.parametrize("flip", [False, True])
def test_composed_faces_are_mirrored_if_pictures_may_be(tmp_path: Path, flip: bool) -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, :50] = 255  # bright on the left
    cv2.imwrite(str(tmp_path / "face.png"), pixels)
    box = np.array([[20, 20, 80, 80]], np.float32)
    item = LabelledPicture(tmp_path / "face.png", box, {"Turned": np.array([1])}, {}, [2])
    changed = {"compose": True, "flip": flip, "face_sizes": (60, 70)}
    batches = training._stream([item], "Turned", QUICK.model_copy(update=changed)).batches(0, 5, 4)
    pictures = np.concatenate([batch.pictures.numpy() for batch in batches])
    mirrored = (pictures[:, 0, :, :20].mean((1, 2)) < 100).any()
    assert mirrored == flip


def joint(weight: float, rate: float = 1.0, first_stage: int = 2) -> FinetuneConfig:
    return QUICK.model_copy(
        update={
            "head": InitialHeadConfig(kind="branch", layers=(2, 3), depth=1, initial="random"),
            "joint": JointConfig(weight=weight, rate=rate, others=2, first_stage=first_stage),
            "compose": True,
            "epochs": 4,
        }
    )


@pytest.fixture
def boxed(coloured: Path) -> Labels:
    rows = [f"{i}.png,5,5,65,85,{('blue', 'red')[i % 2]}" for i in range(16)]
    (coloured / "boxes.csv").write_text("\n".join(["image,x1,y1,x2,y2,Colour", *rows]), encoding="utf-8")
    return read(coloured / "boxes.csv", coloured / "pictures", ["Colour"])


def test_what_single_faces_show_is_learnt(boxed: Labels, detector_file: Path) -> None:
    head = InitialHeadConfig(kind="branch", layers=(2, 3), depth=1, initial="random")
    changed = {"head": head, "single": True, "balanced": True, "min_face_score": 0, "batch": 8, "epochs": 12}
    network, steps = load_network(detector_file), []
    config = QUICK.model_copy(update=changed)
    finetune(
        network,
        "colour",
        boxed.targets[0],
        boxed.pictures,
        config,
        on_step=lambda step, total: steps.append(step.accuracy),
    )
    assert len(steps) == 24 and np.mean(steps[-4:]) > 0.9


@pytest.mark.parametrize("kind", ["branch", "tower"])
def test_only_what_the_head_needs_is_computed(kind: str) -> None:
    config = load_config(kind).model_copy(update={"precision": "fp32"})
    network = load_network(detector_weights("slim-identity"))
    add_head(network, "colour", Target("Colour", ("b", "r"), ("b", "r")), config)
    assert isinstance(network.backbone, Slim) and network.embedding_trunk is not None
    idle = [network.attribute_heads["gender"], network.embedding_trunk]
    idle += list(network.backbone.stages)[3:] if kind == "branch" else []
    for part in idle:
        part.register_forward_hook(lambda *_: pytest.fail("nothing reads this"))
    pictures = torch.randint(0, 256, (2, 3, 150, 200), dtype=torch.uint8)  # sides that do not halve evenly
    anchors = len(anchor_ops.anchors(anchor_ops.map_sizes(150, 200)))
    batch = Batch(pictures, torch.zeros(2, anchors, dtype=torch.int64), [], [])
    logits = Frozen(network, "colour", config).compare(batch, 0).logits
    for part in idle:
        part._forward_hooks.clear()
    whole = network(normalise(pictures), ["colour"]).attributes["colour"].spread()
    assert torch.equal(logits, whole)


@pytest.mark.parametrize("first", [1, 2])
def test_joint_training_changes_the_stages_that_may_learn_and_no_others(
    boxed: Labels, coloured: Path, detector_file: Path, first: int
) -> None:
    network = load_network(detector_file)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pictures = [coloured / "pictures"]
    config = joint(1.0, first_stage=first)
    finetune(network, "colour", boxed.targets[0], boxed.pictures, config, others=pictures)
    after = network.state_dict()
    changed = {name.rsplit(".", 1)[0] for name in before if not torch.equal(after[name], before[name])}
    assert changed
    assert {".".join(name.split(".")[:3]) for name in changed} == {
        f"backbone.{part}.{i}" for part in ("stages", "lateral") for i in range(first, 6)
    }


@pytest.mark.parametrize("held_on_others", [False, True])
def test_single_faces_of_every_size_are_trained_jointly(
    boxed: Labels, coloured: Path, detector_file: Path, held_on_others: bool
) -> None:
    config = joint(1.0).model_copy(update={"compose": False, "single": True, "epochs": 1})
    others = [coloured / "pictures"] if held_on_others else []
    steps: list[Step] = []
    finetune(
        load_network(detector_file),
        "colour",
        boxed.targets[0],
        boxed.pictures,
        config,
        on_step=lambda step, total: steps.append(step),
        others=others,
    )
    assert len(steps) >= 2 and all(step.held > 0 or step.number == 1 for step in steps)


def test_a_detector_that_is_held_says_what_it_said(
    boxed: Labels, coloured: Path, detector_file: Path
) -> None:
    folder = coloured / "pictures"
    pictures = normalise(UnlabelledStream([folder], 1).draw(0, 8, 128))
    before = fused(load_network(detector_file), pictures)
    moved = []
    for weight in (1e-6, 100.0):
        network = load_network(detector_file)
        finetune(network, "colour", boxed.targets[0], boxed.pictures, joint(weight, 0.02), others=[folder])
        after = fused(network, pictures)
        moved.append(sum((a - b).square().mean().item() for a, b in zip(after, before, strict=True)))
    assert moved[1] < moved[0] / 2


def fused(network: S3FD, pictures: torch.Tensor) -> list[torch.Tensor]:
    assert isinstance(network.backbone, Slim)
    with torch.no_grad():
        return network.backbone.fuse(network.backbone.bottom_up(pictures))


class Stopped(Exception):
    pass


def stop_at(number: int) -> Callable[[Step, int], None]:
    def stop(step: Step, steps: int) -> None:
        if step.number == number:
            raise Stopped

    return stop


def continued(
    folder: Path, detector_file: Path, labels: Labels, config: FinetuneConfig, others: list[Path]
) -> tuple[S3FD, list[Step]]:
    """The network of a run in `folder` that was stopped twice, and the steps it took after that."""
    steps: list[Step] = []
    for stop in (stop_at(3), stop_at(6), lambda step, count: steps.append(step)):
        network = load_network(detector_file)
        with contextlib.suppress(Stopped), open_journal(folder, config, 2, {}) as journal:
            finetune(
                network, "colour", labels.targets[0], labels.pictures, config, stop, others, journal=journal
            )
    return network, steps


def test_a_joint_run_goes_on_as_if_it_had_not_been_stopped(
    boxed: Labels, coloured: Path, detector_file: Path, tmp_path: Path
) -> None:
    others = [coloured / "pictures"]
    (others[0] / "broken.png").write_bytes(b"no picture")
    config = joint(1.0).model_copy(update={"ema": 0.9, "epochs": 2})
    whole = load_network(detector_file)
    finetune(whole, "colour", boxed.targets[0], boxed.pictures, config, others=others)
    network, steps = continued(tmp_path / "run", detector_file, boxed, config, others)
    assert [step.number for step in steps] == [7, 8]
    assert all(step.held > 0 and step.gradient_norm > 0 for step in steps)
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.state_dict().items())


def test_a_batch_of_which_nothing_can_be_read_is_a_step_all_the_same(
    labels: Labels, detector_file: Path, tmp_path: Path
) -> None:
    for item in labels.pictures[:6]:
        item.path.write_bytes(b"no picture")
    config = QUICK.model_copy(update={"batch": 1, "epochs": 0.75})
    whole, seen = load_network(detector_file), []
    finetune(
        whole, "colour", labels.targets[0], labels.pictures, config, lambda step, count: seen.append(step)
    )
    assert [step.number for step in seen] == list(range(1, 13))
    assert any(not step.cells for step in seen[:6]) and any(step.cells for step in seen)
    network, steps = continued(tmp_path / "run", detector_file, labels, config, [])
    assert [step.number for step in steps] == list(range(7, 13))
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.state_dict().items())


def test_a_gradient_that_is_not_finite_ends_the_run_before_the_weights_are_lost(
    labels: Labels, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_network(detector_file)
    monkeypatch.setattr(training, "attribute_loss", lambda *given: attribute_loss(*given) * math.inf)
    with (
        pytest.raises(TrainingError, match=r"gradient of step 0 is (nan|inf)(.|\n)*\.png"),
        open_journal(tmp_path, QUICK, 1, {}) as journal,
    ):
        finetune(network, "colour", labels.targets[0], labels.pictures, QUICK, journal=journal)
    assert not (tmp_path / "checkpoint.pt").exists()
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


def test_a_frozen_detector_is_not_held(labels: Labels, coloured: Path, detector_file: Path) -> None:
    network = load_network(detector_file)
    with pytest.raises(ValueError, match="only joint runs"):
        finetune(network, "colour", labels.targets[0], labels.pictures, QUICK, others=[coloured / "pictures"])


def test_only_a_branch_is_trained_jointly(boxed: Labels, detector_file: Path) -> None:
    wrong = joint(1.0).model_copy(update={"head": InitialHeadConfig()})
    with pytest.raises(ValueError, match="a head of kind branch"):
        finetune(load_network(detector_file), "colour", boxed.targets[0], boxed.pictures, wrong)
    scored = joint(1.0).model_copy(update={"min_face_score": 0.1})
    with pytest.raises(ValueError, match="min_face_score: 0"):
        finetune(load_network(detector_file), "colour", boxed.targets[0], boxed.pictures, scored)


def test_a_network_is_held_to_another_detector_with_its_first_stages(
    boxed: Labels, coloured: Path, detector_file: Path
) -> None:
    folder = coloured / "pictures"
    pictures = normalise(UnlabelledStream([folder], 1).draw(0, 8, 128))
    wanted = fused(load_network(detector_file), pictures)
    network = load_network(detector_file)
    assert isinstance(network.backbone, Slim)
    with torch.no_grad():
        for parameter in network.backbone.lateral[2].parameters():
            parameter.mul_(1.5)
    far = (fused(network, pictures)[2] - wanted[2]).square().mean()
    config = joint(100.0, 0.1)
    hold = load_network(detector_file)
    finetune(network, "colour", boxed.targets[0], boxed.pictures, config, others=[folder], hold=hold)
    assert (fused(network, pictures)[2] - wanted[2]).square().mean() < far / 2
    torch.manual_seed(9)
    with pytest.raises(ValueError, match="first stages"):
        finetune(network, "colour", boxed.targets[0], boxed.pictures, config, hold=build("slim"))
