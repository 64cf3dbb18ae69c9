import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from killed import train_and_kill
from typer.testing import CliRunner

from s3fd.attributes import run
from s3fd.attributes.config import FinetuneConfig, load_config, presets
from s3fd.attributes.finetune import split
from s3fd.cli.finetune import app
from s3fd.evaluation.attribute_faces import Found
from s3fd.evaluation.attributes import Observations, summarise
from s3fd.faces import Faces
from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.inference.pictures import PictureError
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import build
from s3fd.network.attributes import Attribute
from s3fd.training import checkpoint
from s3fd.training.config import ConfigError
from s3fd.weights import run_result
from s3fd.weights.digest import sha256
from s3fd.weights.network_file import WeightsError, backbone_of, load_network, save_network

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
QUICK = FinetuneConfig(size=128, batch=4, epochs=2, min_face_score=0.0, held_out=0.25)


def test_a_run_leaves_weights_a_model_and_a_report(
    coloured: Path, detector_file: Path, tmp_path: Path
) -> None:
    labels = run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour:blue=azure,red", None)
    report = run.run(labels, "colour", QUICK, detector_file, tmp_path / "out")
    assert (report.trained, report.held_out, report.not_found, report.summary) == (12, 4, 4, None)
    assert "no labelled face found in any of them" in report.text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["classes"] == ["azure", "red"]
    network = load_network(tmp_path / "out" / "weights.safetensors")
    assert network.attributes[0].classes == ("azure", "red")
    model = OnnxRuntime(tmp_path / "out" / "model.onnx", threads=1)
    assert model.classes == {"colour": ("azure", "red")}
    picture = np.random.default_rng(0).integers(0, 256, (1, 90, 130, 3), dtype=np.uint8)
    ours, theirs = TorchRuntime(network)(picture, ["colour"]), model(picture, ["colour"])
    np.testing.assert_allclose(ours.attributes["colour"], theirs.attributes["colour"], atol=1e-4)
    np.testing.assert_allclose(ours.attributes["colour"].sum(axis=-1), 1, atol=1e-5)


def test_the_report_names_the_weights_as_they_were_read(
    coloured: Path, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)
    labels = run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour", None)
    weights = tmp_path / "weights.safetensors"
    shutil.copy(detector_file, weights)
    backbone, began = backbone_of(weights), sha256(weights)

    def replace_weights(*step: object) -> None:
        save_network(load_network(detector_file), backbone, weights, {"from": "another run"})

    config = QUICK.model_copy(update={"epochs": 0.1})
    report = run.run(labels, "colour", config, weights, tmp_path / "out", on_step=replace_weights)
    assert report.backbone_sha256 == began != sha256(weights)


def test_a_run_says_what_it_leaves_out_and_ends_if_that_is_everything(
    coloured: Path, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps({**RUN, "epochs": 1}), encoding="utf-8")
    arguments = [
        *(str(coloured / "index.csv"), "--images", str(coloured / "pictures"), "--target", "Colour"),
        *("--config", str(config), "--weights", str(detector_file), "--out"),
    ]
    labels = run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour", None)
    learning, testing = split(labels.pictures, 0.25, 0)
    for item in (learning[0], testing[0]):
        item.path.write_bytes(b"no picture")
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "some")])
    assert done.exit_code == 0, done.output
    assert f"skipped {learning[0].path}: not a picture" in done.output
    assert f"held out, but unreadable: {testing[0].path}: not a picture" in done.output
    for item in learning:
        item.path.write_bytes(b"no picture")
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "none")])
    assert done.exit_code == 2 and "nothing was learnt" in done.output
    assert f"skipped {learning[1].path}" in done.output
    assert not (tmp_path / "none" / "weights.safetensors").exists()


def test_the_report_tells_faces_from_pictures() -> None:
    told = Observations(np.eye(2, dtype=np.float32), np.arange(2), np.full(2, 50, np.float32))
    report = run.Report("colour", ("blue", "red"), 9, 3, 4, (), (), 0, summarise(told), 1.0, "")
    assert (
        "held out: 3 pictures; 4 labelled faces in them not found; accuracy on the other 2: 100.0%"
        in report.text()
    )
    always = Observations(
        np.full((4, 2), (0.6, 0.4), np.float32), np.array([0, 0, 0, 1]), np.full(4, 50, np.float32)
    )
    assert "accuracy on the other 4: 75.0%" in replace(report, summary=summarise(always)).text()
    assert "balanced accuracy 50.0%)" in replace(report, summary=summarise(always)).text()
    assert report.text().endswith(
        "\nprobabilities are not calibrated, which needs at least 50 held-out faces"
    )
    many = summarise(
        Observations(np.full((50, 2), 0.5, np.float32), np.zeros(50, np.int64), np.full(50, 9, np.float32))
    )
    assert "calibrated" not in replace(report, summary=many).text()


def test_the_report_names_who_was_tested_and_which_classes_were_not() -> None:
    told = Observations(np.eye(2, dtype=np.float32), np.zeros(2, np.int64), np.full(2, 50, np.float32))
    report = run.Report(
        *("colour", ("blue", "red"), 9, 2, 0, (), (), 0, summarise(told), 1.0, ""),
        groups=("Ada",),
        untested=("red",),
    )
    assert "held out: 2 pictures of Ada; 0 labelled" in report.text()
    assert "\nnone of these faces is labelled red, so the accuracy says nothing about that" in report.text()
    crowd = replace(report, groups=tuple("abcdefgh"), untested=())
    assert "pictures of a and b and c and d and e and 3 others;" in crowd.text()
    assert "none of these" not in crowd.text()


def test_a_run_reports_who_was_held_out_and_how_its_own_weights_are_calibrated(
    coloured: Path, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = np.full((60, 2), (0.999, 0.001), np.float32)
    told = Observations(sure, (np.arange(60) % 5 == 0).astype(np.int64), np.full(60, 50, np.float32))
    monkeypatch.setattr(run, "observe", lambda *given: Found(told, 0))
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)
    table, pictures = coloured / "index.csv", coloured / "pictures"
    labels = run.read_labels(table, pictures, "Colour:blue,red,green", "Batch")
    green = labels.pictures[0].labels["Colour"]
    green[:] = 2
    report = run.run(labels, "colour", QUICK, detector_file, tmp_path / "out", "Batch")
    assert report.groups is not None and len(report.groups) == 1 and report.untested == ("green",)
    assert report.summary is not None and report.summary.accuracy == 0.8
    assert report.summary.calibration_error < 0.03 < summarise(told).calibration_error


def test_the_report_of_a_run_without_a_test_says_so() -> None:
    report = run.Report("colour", ("blue", "red"), 9, 0, 0, (), (), 0, None, 1.0, "")
    assert report.text().splitlines()[1].startswith("held out: none; probabilities are not calibrated")
    assert "3 pictures, no labelled face found in any of them; prob" in replace(report, held_out=3).text()


RUN = {"size": 128, "batch": 2, "epochs": 10, "min_face_score": 0.0, "held_out": 0.25, "checkpoint_every": 4}


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    coloured: Path, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)  # it takes longer than all the rest
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps({**RUN, "ema": 0.9}), encoding="utf-8")
    arguments = [
        *(str(coloured / "index.csv"), "--images", str(coloured / "pictures"), "--target", "Colour"),
        *("--config", str(config), "--weights", str(detector_file), "--out"),
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_and_kill(killed, 10, "finetune", *arguments, killed)
    step = checkpoint.load(killed / "checkpoint.pt")["step"]
    assert step in range(8, 60)
    for folder, first in ((whole, 1), (killed, step + 1)):
        done = CliRunner().invoke(app, [*arguments, str(folder)])
        assert done.exit_code == 0, done.output
        assert re.search(
            rf"^fine-tuning: {first} of 60, loss \d\.\d+, no face found 0 times$", done.output, re.M
        )
    one, two = (load_network(folder / "weights.safetensors").state_dict() for folder in (whole, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)
    records = [(folder / "metrics.jsonl").read_text() for folder in (whole, killed)]
    assert records[0] == records[1] and len(records[0].splitlines()) == 60
    first = json.loads(records[0].splitlines()[0])
    assert {"loss/colour", "right/colour", "learning_rate", "gradient_norm"} < first.keys()
    other = CliRunner().invoke(app, [*arguments, str(killed), "--name", "shade"])
    assert (
        other.exit_code == 2 and "checkpoint.pt was written by a run with another attribute" in other.output
    )
    config.write_text(json.dumps({**RUN, "ema": 0.8}), encoding="utf-8")
    other = CliRunner().invoke(app, [*arguments, str(killed)])
    assert (
        other.exit_code == 2
        and "checkpoint.pt was written by a run with another configuration" in other.output
    )


def test_calibration_multiplies_the_temperature_that_was_there() -> None:
    network = build("slim", attributes=[Attribute("kind", ("a", "b"), temperature=2.0)])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    sure = np.where(rng.random(400) < 0.75, labels, 1 - labels)  # 99 % sure and right three times in four
    probabilities = np.where(np.arange(2) == sure[:, None], 0.99, 0.01).astype(np.float32)
    told = Observations(probabilities, labels, np.full(400, 50, np.float32))
    temperature = run.calibrate(network, "kind", told)
    assert network.attributes[0].temperature == temperature
    expected = np.log(0.99 / 0.01) / np.log((sure == labels).mean() / (sure != labels).mean())
    assert temperature == pytest.approx(2 * expected, rel=0.01)
    with pytest.raises(ValueError, match="50"):
        run.calibrate(network, "kind", told.only(np.arange(400) < 49))


def test_a_column_to_keep_apart_must_exist(coloured: Path) -> None:
    with pytest.raises(ValueError, match=r"no column 'Person'.*Batch"):
        run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour", "Person")
    (coloured / "two.csv").write_text("image,Colour\n0,blue\n1,red\n", encoding="utf-8")
    with pytest.raises(ValueError, match="'Colour' to group by; columns besides the labels: none"):
        run.read_labels(coloured / "two.csv", coloured / "pictures", "Colour", "Colour")


def test_every_class_must_be_trained(coloured: Path, detector_file: Path, tmp_path: Path) -> None:
    labels = run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour", None)
    blue = [p for p in labels.pictures if p.labels["Colour"][0] == 0]
    lacking = run.Labels(blue, labels.targets, [])
    with pytest.raises(ValueError, match=r"has the label red$"):
        run.run(lacking, "colour", QUICK, detector_file, tmp_path / "out")
    with pytest.raises(
        ValueError,
        match=r"Batch: no training picture has the label \d; some are only in held-out pictures: .* seed",
    ):
        batches = run.read_labels(coloured / "index.csv", coloured / "pictures", "Batch", None)
        one = run.Labels(batches.pictures[3:], batches.targets, [])  # a single picture of batch 0
        seed = next(
            seed for seed in range(99) if split(one.pictures, 0.25, seed)[1][0].path == one.pictures[0].path
        )
        run.run(one, "batch", QUICK.model_copy(update={"seed": seed}), detector_file, tmp_path / "out")


def test_a_message_names_a_few_of_many_classes(coloured: Path, detector_file: Path, tmp_path: Path) -> None:
    table = coloured / "names.csv"
    table.write_text("image,Person\n" + "".join(f"{i},person{i:02}\n" for i in range(16)), encoding="utf-8")
    labels = run.read_labels(table, coloured / "pictures", "Person", None)
    half = QUICK.model_copy(update={"held_out": 0.5})
    with pytest.raises(ValueError, match=r"(person\d\d or ){5}3 others; some are only in held-out pictures"):
        run.run(labels, "person", half, detector_file, tmp_path / "out")


@pytest.mark.parametrize("name", presets())
def test_a_run_on_200_pictures_can_be_resumed(name: str) -> None:
    config = load_config(name)
    steps = max(config.least_steps, 180 * config.epochs / config.batch)
    assert config.checkpoint_every <= steps / 3


def test_missing_weights_are_named(coloured: Path, tmp_path: Path) -> None:
    labels = run.read_labels(coloured / "index.csv", coloured / "pictures", "Colour", None)
    with pytest.raises(WeightsError, match="nowhere"):
        run.run(labels, "colour", QUICK, tmp_path / "nowhere.safetensors", tmp_path / "out")


def test_the_recipe_is_the_published_exercise() -> None:
    assert "recipe" in presets()
    config = load_config("recipe")
    assert config.head.layers == (1, 2, 3, 4) and config.head.initial == "copy"
    assert config.min_face_score == 0.05


def test_configurations_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recipe"):
        load_config("nonsense")
    path = tmp_path / "own.yaml"
    path.write_text("head: {kind: cathedral}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"head\.kind"):
        load_config(str(path))
    path.write_text("head: {initial: random, kept_share: 0.5}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"kept_share needs initial: kept"):
        load_config(str(path))


def test_the_configurations_of_the_repository_are_valid() -> None:
    files = sorted((Path(__file__).parents[2] / "configs" / "finetune").glob("*.yaml"))
    assert files and all(load_config(str(file)).epochs > 0 for file in files)


def test_pictures_labelled_as_a_whole_are_composed_by_the_faces_that_the_detector_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)
    portrait = cv2.imread(str(EXAMPLE))
    rows = ["image,Mood"]
    for i, mood in enumerate(("glad", "sad") * 3):
        rows.append(f"{i}.png,{mood}")
        cv2.imwrite(str(tmp_path / f"{i}.png"), portrait if i else np.zeros_like(portrait))
    (tmp_path / "index.csv").write_text("\n".join(rows), encoding="utf-8")
    labels = run.read_labels(tmp_path / "index.csv", tmp_path, "Mood", None)
    config = load_config("branch").model_copy(
        update={"batch": 2, "epochs": 0.1, "least_steps": 2, "held_out": 0.0}
    )
    heard: list[tuple[int, int]] = []

    def hear(found: Iterable[Faces | PictureError], count: int) -> Iterator[Faces | PictureError]:
        for number, faces in enumerate(found, 1):
            heard.append((number, count))
            yield faces

    report = run.run(
        labels,
        "mood",
        config,
        run.detector_weights("slim"),
        tmp_path / "out",
        on_pictures=hear,
    )
    assert heard == [(i, 6) for i in range(1, 7)]
    assert report.not_located == (f"{tmp_path / '0.png'}: no face was found in the picture",)
    assert "trained on 5 pictures" in report.text()
    assert "1 picture left out: unreadable, or no face found" in report.text()
    assert [a.name for a in load_network(tmp_path / "out" / "weights.safetensors").attributes][-1] == "mood"
    assert len((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()) == 2  # the least


def test_a_run_tells_what_the_weights_knew_before_and_goes_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)
    rows = ["image,Gender"]
    for i, gender in enumerate("FM" * 4):
        rows.append(f"{i}.jpg,{gender}")
        shutil.copy(EXAMPLE, tmp_path / f"{i}.jpg")
    (tmp_path / "index.csv").write_text("\n".join(rows), encoding="utf-8")
    labels = run.read_labels(tmp_path / "index.csv", tmp_path, "Gender:F=female,M=male", None)
    brief = {"batch": 2, "epochs": 0.1, "least_steps": 1, "held_out": 0.5}
    config = load_config("adapt").model_copy(update=brief)
    weights = run.detector_weights("slim")
    report = run.run(labels, "gender", config, weights, tmp_path / "out")
    _, testing = split(labels.pictures, 0.5, config.seed)
    women = np.mean([item.labels["Gender"][0] == 0 for item in testing])
    assert report.before is not None and report.before.accuracy == pytest.approx(women)
    assert f"\nbefore this run, the weights had {women:.1%} (balanced accuracy 50.0%)" in report.text()
    given, trained = (load_network(path) for path in (weights, tmp_path / "out" / "weights.safetensors"))
    moved = [
        (trained.state_dict()[name] - tensor).abs().max().item()
        for name, tensor in given.state_dict().items()
        if name.startswith("attribute_heads.gender.") and tensor.is_floating_point()
    ]
    assert 0 < max(moved) < 0.01  # one step with a low rate, from where the weights were
    whole = config.model_copy(update={"head": config.head.model_copy(update={"kept_share": 0.0})})
    run.run(labels, "gender", whole, weights, tmp_path / "whole")
    all_the_way = load_network(tmp_path / "whole" / "weights.safetensors").state_dict()
    for name, tensor in trained.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (given.state_dict()[name] + all_the_way[name]) / 2)
    new = run.run(labels, "sex", load_config("branch").model_copy(update=brief), weights, tmp_path / "new")
    assert new.before is None and "before" not in new.text()
