"""The training program end to end, on pictures whose faces are bright squares."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from killed import as_many_threads, train_and_kill
from square_run import curve, labelled, run, settings
from typer.testing import CliRunner

from s3fd import boxes as box_ops
from s3fd.cli import app
from s3fd.network import build
from s3fd.network.decoder import PictureNetwork
from s3fd.network.embedding import Embedding
from s3fd.training import checkpoint, loop
from s3fd.training.checkpoint import CheckpointError
from s3fd.training.config import ConfigError, TrainConfig, load_config
from s3fd.training.dataset import TrainingStream
from s3fd.training.trainer import Trainer, TrainingError
from s3fd.weights.network_file import WeightsError, backbone_of, load_network, save_network


@pytest.mark.slow
def test_it_learns_to_find_squares(squares: Path, tmp_path: Path) -> None:
    crops = {"grids": [1.0], "distort": False, "anchor_sampling": 0}  # of about the scale of the test
    records = run(squares, tmp_path, steps=200, batch=4, pictures_every=200, ema=0.95, augmentation=crops)
    losses = [r["loss/total"] for r in records]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    network = PictureNetwork(load_network(tmp_path / "weights.safetensors"))
    config = TrainConfig.model_validate(settings())
    samples, _ = loop.read_data(config.data, squares)
    overlaps = []
    for sample in samples:
        picture = torch.from_numpy(cv2.imread(str(sample.path)))
        with torch.no_grad():
            scores, boxes = network(picture[None])
        best = boxes[0, scores[0].argmax()].numpy()[None]
        overlaps.append(box_ops.iou(best, sample.boxes).max())
    assert np.median(overlaps) > 0.5


def test_a_killed_run_continues_as_if_nothing_had_happened(squares: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(steps=24, workers=1)))
    arguments = ["train", str(config), "--data", str(squares), "--device", "cpu"]
    command = [sys.executable, "-m", "s3fd", *arguments]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    alike = partial(subprocess.run, env=as_many_threads(), check=True, capture_output=True)
    alike([*command, "--out", str(whole)])
    train_and_kill(killed, 8, *arguments, "--out", killed)
    done = checkpoint.load(killed / "checkpoint.pt")["step"]
    again = alike([*command, "--out", str(killed)])
    assert done >= 4 and f"training: {done + 1} of 24".encode() in again.stderr
    assert [r["step"] for r in curve(killed)] == list(range(24))
    for a, b in zip(curve(whole), curve(killed), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    networks = [load_network(folder / "weights.safetensors") for folder in (whole, killed)]
    for a, b in zip(*(n.state_dict().values() for n in networks), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def goes_on(first: TrainConfig, other: TrainConfig, squares: Path, folder: Path) -> None:
    """A run of `first`, stopped after its fifth step and resumed with `other`, is as one that was not."""
    samples, _ = loop.read_data(first.data, squares)

    def stop(step: int, figures: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    loop.train(first, samples, folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        loop.train(first, samples, folder / "stopped", on_step=stop)
    steps: list[int] = []
    loop.train(other, samples, folder / "stopped", on_step=lambda step, figures: steps.append(step))
    assert steps[0] == 5  # after its checkpoint, at the fourth
    assert curve(folder / "whole") == curve(folder / "stopped")


def test_a_run_that_goes_on_skips_the_blocks_that_it_would_have_skipped(
    squares: Path, tmp_path: Path
) -> None:
    config = TrainConfig.model_validate(settings(steps=6, network={"drop": 0.3}))
    goes_on(config, config, squares, tmp_path)


def test_a_finished_run_is_left_alone(squares: Path, tmp_path: Path) -> None:
    first = run(squares, tmp_path)
    config = TrainConfig.model_validate(settings())
    samples, _ = loop.read_data(config.data, squares)
    loop.train(config, samples, tmp_path, on_step=lambda *step: pytest.fail("it learns again"))
    assert curve(tmp_path) == first


def test_another_configuration_does_not_continue_a_run(squares: Path, tmp_path: Path) -> None:
    run(squares, tmp_path)
    with pytest.raises(CheckpointError, match="another configuration"):
        run(squares, tmp_path, seed=1)


def test_what_does_not_affect_the_weights_may_change_during_a_run(squares: Path, tmp_path: Path) -> None:
    """A machine with other processors or less memory continues a run."""
    first = TrainConfig.model_validate(settings(steps=6))
    other = TrainConfig.model_validate(
        settings(steps=6, workers=1, cache=True, checkpoint_every=5, pictures_every=9)
    )
    goes_on(first, other, squares, tmp_path)


def test_a_run_is_not_continued_with_other_data(squares: Path, tmp_path: Path) -> None:
    config = TrainConfig.model_validate(settings(steps=1))
    moved = tmp_path / "moved"
    shutil.copytree(squares, moved)
    loop.train(config, loop.read_data(config.data, squares)[0], tmp_path / "run")
    loop.train(config, loop.read_data(config.data, moved)[0], tmp_path / "run")
    (moved / "3.png").unlink()
    with pytest.raises(CheckpointError, match="a run with other pictures or boxes"):
        loop.train(config, loop.read_data(config.data, moved)[0], tmp_path / "run")


def test_a_run_is_not_continued_from_other_weights(squares: Path, tmp_path: Path) -> None:
    config = TrainConfig.model_validate(settings(steps=1))
    samples, _ = loop.read_data(config.data, squares)
    weights = [tmp_path / "0.safetensors", tmp_path / "1.safetensors"]
    for seed, path in enumerate(weights):
        torch.manual_seed(seed)
        save_network(build("slim"), "slim", path)
    loop.train(config, samples, tmp_path / "run", initial=weights[0])
    loop.train(config, samples, tmp_path / "run", initial=weights[0])
    loop.train(config, samples, tmp_path / "run")
    with pytest.raises(CheckpointError, match="other initial weights"):
        loop.train(config, samples, tmp_path / "run", initial=weights[1])


def test_a_damaged_checkpoint_is_refused(squares: Path, tmp_path: Path) -> None:
    run(squares, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
        run(squares, tmp_path)


def test_a_loss_that_is_not_finite_stops_with_the_files(squares: Path) -> None:
    config = TrainConfig.model_validate(settings())
    samples, _ = loop.read_data(config.data, squares)
    trainer = Trainer(config, torch.device("cpu"))
    trainer.network.backbone.stem[0].weight.data[:] = float("nan")
    batch = next(iter(loop.batches(config, samples, [], 0)))
    with pytest.raises(TrainingError, match="step 0 is nan") as error:
        trainer.advance(batch)
    assert len(batch.names) == 2
    assert all(name in str(error.value) for name in batch.names)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_lost(squares: Path) -> None:
    config = TrainConfig.model_validate(settings())
    samples, _ = loop.read_data(config.data, squares)
    trainer = Trainer(config, torch.device("cpu"))
    trainer.network.heads.loc[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="gradient of step 0"):
        trainer.advance(next(iter(loop.batches(config, samples, [], 0))))
    assert all(p.isfinite().all() for p in trainer.network.parameters())


def test_start_from_other_weights(squares: Path, tmp_path: Path) -> None:
    run(squares, tmp_path / "a")
    config = TrainConfig.model_validate(settings())
    trainer = Trainer(config, torch.device("cpu"))
    trainer.start_from(tmp_path / "a/weights.safetensors")
    trained = load_network(tmp_path / "a/weights.safetensors").state_dict()
    assert all(torch.equal(t, trained[n]) for n, t in trainer.network.state_dict().items())
    other = TrainConfig.model_validate(settings(network={"backbone": "slim", "backgrounds": 1}))
    with pytest.raises(
        WeightsError, match=r"does not match the configured network: heads\.\S+ (is|has) [^\n]*$"
    ):
        Trainer(other, torch.device("cpu")).start_from(tmp_path / "a/weights.safetensors")


def test_weights_with_an_embedding_start_a_run(tmp_path: Path) -> None:
    network = build("slim")
    network.embed(Embedding(dimension=8, layers=(2,), width=16, depth=1))
    save_network(network, "slim", tmp_path / "embedding.safetensors")
    trainer = Trainer(TrainConfig.model_validate(settings()), torch.device("cpu"))
    trainer.start_from(tmp_path / "embedding.safetensors")
    given = network.state_dict()
    assert all(torch.equal(given[n], t) for n, t in trainer.network.state_dict().items())


def test_sets_of_several_formats_are_mixed(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "voc").mkdir()
    (tmp_path / "yolo").mkdir()
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    xml = f"<annotation><filename>0.png</filename><object><name>face</name>{box}</object></annotation>"
    (tmp_path / "voc/0.xml").write_text(xml)
    (tmp_path / "yolo/1.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    data = [
        {"format": "wider", "images": squares, "annotations": squares / "gt.txt"},
        {"format": "voc", "images": squares, "annotations": tmp_path / "voc", "repeat": 3},
        {"format": "yolo", "images": squares, "annotations": tmp_path / "yolo"},
    ]
    config = TrainConfig.model_validate(settings(data=data))
    samples, problems = loop.read_data(config.data, tmp_path)
    assert len(samples) == 12 + 3 + 12
    assert problems == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_left_out_and_named_once(squares: Path, tmp_path: Path, workers: int) -> None:
    images = tmp_path / "images"
    shutil.copytree(squares, images)
    whole = (images / "0.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])  # its header is whole
    with (images / "gt.txt").open("a") as table:
        table.write("cut.png\n1\n5 5 50 50\n")
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(workers=workers, steps=14)))  # of 2 pictures: every one twice
    command = [sys.executable, "-m", "s3fd", "train", str(config), "--data", str(images), "--device", "cpu"]
    done = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "cut.png" in line]
    assert told.startswith(f"left out: {images / 'cut.png'}: ")


@pytest.mark.parametrize("workers", [0, 1])
def test_where_no_picture_can_be_read_a_run_ends(squares: Path, tmp_path: Path, workers: int) -> None:
    whole = (squares / "0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "gt.txt").write_text("cut.png\n1\n5 5 50 50\n")
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(workers=workers)))
    command = [sys.executable, "-m", "s3fd", "train", str(config), "--data", str(tmp_path), "--device", "cpu"]
    done = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert re.search(r"100 pictures in a row cannot be read; the last: [^\n]*cut\.png: ", done.stderr)


def test_missing_data_is_named(squares: Path, tmp_path: Path) -> None:
    config = TrainConfig.model_validate(settings())
    with pytest.raises(ConfigError, match=r"gt\.txt does not exist"):
        loop.read_data(config.data, tmp_path)


def test_command_reports_skipped_boxes_once_and_bad_configs(squares: Path, tmp_path: Path) -> None:
    lines = (squares / "gt.txt").read_text().splitlines()
    lines[2] = "5 5 0 9"
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    data = [{"format": "wider", "images": str(squares), "annotations": str(tmp_path / "gt.txt")}]
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(data=data, steps=2)))
    assert load_config(config).steps == 2
    command = [sys.executable, "-m", "s3fd", "train", str(config), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count(f"{tmp_path / 'gt.txt'}:3: ") == 1
    assert done.stdout.strip() == str(tmp_path / "run" / "weights.safetensors")
    assert list((tmp_path / "run").glob("events.out.tfevents*"))
    config.write_text("steps: [")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(config) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_killed_worker_is_told_in_one_line(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(stream: TrainingStream, numbers: list[int]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(TrainingStream, "__getitems__", killed)
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(settings(workers=1)))
    arguments = [
        "train",
        str(config),
        "--data",
        str(squares),
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "run"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert re.search(r"s3fd: DataLoader worker .* If memory ran out, use fewer `workers`", done.stderr)


def test_an_attribute_is_learnt_together_with_the_faces(squares: Path, tmp_path: Path) -> None:
    config = labelled(squares, steps=180, batch=4, ema=0.9, pictures_every=180)
    items, problems = loop.read_labelled(config, squares)
    samples, _ = loop.read_data(config.data, squares)
    assert len(items) == 8 and not problems
    loop.train(config, samples, tmp_path, labelled=items)
    records = [r for r in curve(tmp_path) if "right/light" in r]
    assert len(records) > 40
    assert np.mean([r["right/light"] for r in records[-30:]]) > 0.7  # chance: 0.5
    network = load_network(tmp_path / "weights.safetensors")
    assert network.attributes[0].name == "light" and network.attributes[0].classes == ("dark", "bright")


def test_a_detector_starts_a_run_with_attributes(squares: Path, tmp_path: Path) -> None:
    run(squares, tmp_path / "plain", steps=1)
    config = labelled(squares, steps=4)
    trainer = Trainer(config, torch.device("cpu"))
    trainer.start_from(tmp_path / "plain" / "weights.safetensors")
    plain = load_network(tmp_path / "plain" / "weights.safetensors").state_dict()
    own = trainer.network.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in plain.items())
    assert any(name.startswith("attribute_heads.light.") for name in own.keys() - plain.keys())
    save_network(trainer.network, "slim", tmp_path / "telling.safetensors")
    detector = Trainer(TrainConfig.model_validate(settings()), torch.device("cpu"))
    detector.start_from(tmp_path / "telling.safetensors")
    assert detector.network.state_dict().keys() == plain.keys()


def test_a_run_does_not_start_from_answers_in_another_order(squares: Path, tmp_path: Path) -> None:
    config = labelled(squares)
    trainer = Trainer(config, torch.device("cpu"))
    (light,) = trainer.network.attributes
    trainer.network.attributes = (replace(light, classes=light.classes[::-1]),)
    save_network(trainer.network, "slim", tmp_path / "turned.safetensors")
    with pytest.raises(
        WeightsError, match="classes of light are bright, dark, but the configuration has dark, bright"
    ):
        Trainer(config, torch.device("cpu")).start_from(tmp_path / "turned.safetensors")


def test_pictures_without_labels_leave_a_new_head_alone(squares: Path, tmp_path: Path) -> None:
    config = labelled(squares)
    samples, _ = loop.read_data(config.data, squares)
    items, _ = loop.read_labelled(config, squares)
    batch = next(iter(loop.batches(config, samples, items, 0)))
    assert batch.attributes.shape == (2, 1, batch.labels.shape[1])
    trainer = Trainer(config, torch.device("cpu"))
    nothing = batch._replace(attributes=torch.full_like(batch.attributes, -1))
    figures = trainer.advance(nothing)
    assert "loss/light" not in figures
    assert all(p.grad is None for p in trainer.network.attribute_heads.parameters())


def test_batch_normalisation_is_gone_from_the_weights_of_vgg16(squares: Path, tmp_path: Path) -> None:
    records = run(squares, tmp_path, network={"backbone": "vgg16_bn"}, steps=2, batch=2)
    assert len(records) == 2
    assert backbone_of(tmp_path / "weights.safetensors") == "vgg16"
    network = load_network(tmp_path / "weights.safetensors")
    assert not any("batch_norm" in name for name in network.state_dict())


def test_the_same_seed_gives_the_same_weights(squares: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        run(squares, tmp_path / folder, steps=4, matching={"method": "aligned"}, loss={"focal": True})
    one, two = (load_network(tmp_path / folder / "weights.safetensors") for folder in ("one", "two"))
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def changed_by_two_steps(squares: Path, folder: Path, frozen: str) -> set[str]:
    """Tensors that two steps of slim change with this part frozen, which is refused without weights."""
    config = TrainConfig.model_validate(
        settings(steps=2, network={"backbone": "slim", frozen: True}, ema=0.0)
    )
    samples, _ = loop.read_data(config.data, squares)
    with pytest.raises(ValueError, match="weights to start from"):
        loop.train(config, samples, folder / "run")
    torch.manual_seed(1)
    before = build("slim")
    save_network(before, "slim", folder / "start.safetensors")
    after = loop.train(config, samples, folder / "run", initial=folder / "start.safetensors").state_dict()
    return {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}


def test_frozen_statistics_stay_while_scale_and_shift_learn(squares: Path, tmp_path: Path) -> None:
    changed = changed_by_two_steps(squares, tmp_path, "frozen_statistics")
    assert not any(name.endswith(("running_mean", "running_var")) for name in changed)
    for part in ("backbone.stem.1.", "backbone.stages.0.", "backbone.lateral.0.", "backbone.smooth.0."):
        assert any(name.startswith(part) and name.endswith(".bias") for name in changed)


def test_frozen_stages_stay_what_they_are_and_the_pyramid_learns(squares: Path, tmp_path: Path) -> None:
    changed = changed_by_two_steps(squares, tmp_path, "frozen_stages")
    assert not any(name.startswith(("backbone.stem.", "backbone.stages.")) for name in changed)
    for part in ("backbone.lateral.", "backbone.smooth.", "heads."):
        assert any(name.startswith(part) for name in changed)
    with pytest.raises(ValueError, match="needs the backbone slim"):
        TrainConfig.model_validate(settings(network={"backbone": "vgg16", "frozen_stages": True}))
    with pytest.raises(ValueError, match="has no effect on vgg16, which has no batch normalisation"):
        TrainConfig.model_validate(settings(network={"backbone": "vgg16", "frozen_statistics": True}))
