"""A run from a table to a model that every engine reads alike."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from killed import train_and_kill
from typer.testing import CliRunner

from s3fd.cli.embed import app
from s3fd.embedding import run
from s3fd.embedding.config import EmbedConfig, LikenessConfig, MarginConfig, TrunkConfig, load_config, presets
from s3fd.embedding.faces import cut_out, read_teacher
from s3fd.embedding.run import read_faces
from s3fd.embedding.train import Step, train
from s3fd.inference.detector import Detector
from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.inference.runtime import BUNDLED
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import S3FD, build
from s3fd.network.embedding import Embedding
from s3fd.training import checkpoint
from s3fd.training.config import OptimiserConfig
from s3fd.training.journal import open_journal
from s3fd.weights import run_result
from s3fd.weights.embedding_digest import embedding_digest
from s3fd.weights.network_file import load_network, save_network

SMALL = TrunkConfig(dimension=8, layers=(2, 3), width=16, depth=2)
QUICK = EmbedConfig(
    trunk=SMALL,
    likeness=LikenessConfig(weight=0),
    margin=MarginConfig(weight=0),
    batch=16,
    epochs=30,
    held_out=0,
    precision="fp32",
)


def test_training_comes_nearer_to_the_teacher_and_leaves_the_detector_alone(portraits: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    teacher = read_teacher(portraits / "teacher.npz", portraits / "pictures")
    faces = [face for some in cut_out(labels.pictures, "Person", teacher) for face in some]
    torch.manual_seed(0)
    network = build("slim").eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    config = QUICK.model_copy(update={"optimiser": OptimiserConfig(rate=0.01, warmup=5, weight_decay=0)})
    steps = []
    train(network, faces, 3, config, lambda step, count: steps.append((step, count)))
    first, last = (np.mean([step.loss for step, _ in part]) for part in (steps[:10], steps[-10:]))
    assert steps[-1][0].number == steps[-1][1] and last < 0.7 * first
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert run.test(network, faces)[0] > run.test(_untrained(), faces)[0] + 0.2


def test_the_trunk_begins_with_the_detectors_stages_and_changes_its_own_alone() -> None:
    network = _untrained()
    trunk, backbone = network.embedding_trunk, network.backbone
    for own, theirs in zip(trunk.first, [backbone.stem, *backbone.stages[:2]], strict=True):
        pairs = zip(own.parameters(), theirs.parameters(), strict=True)
        assert all(torch.equal(a, b) and a is not b for a, b in pairs)


def test_every_held_out_face_is_tested(portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    teacher = read_teacher(portraits / "teacher.npz", portraits / "pictures")
    taught = [f for some in cut_out(labels.pictures, "Person", teacher) for f in some if f.vector is not None]
    different = taught[:3]  # of three people
    assert run.test(_untrained(), []) == (None, None)
    monkeypatch.setattr(run, "read", lambda trunk, batch: batch.vectors)
    assert run.test(_untrained(), different, batch=2) == (1, 1)
    monkeypatch.setattr(run, "read", lambda trunk, batch: -batch.vectors)
    assert run.test(_untrained(), different, batch=2)[1] == 0
    assert run.test(_untrained(), taught, batch=8)[0] == pytest.approx(-1)


def _untrained() -> torch.nn.Module:
    torch.manual_seed(0)
    network = build("slim").eval()
    network.embed(SMALL.embedding)
    return network.eval()


def test_the_command_leaves_weights_a_model_and_a_report(portraits: Path) -> None:
    (portraits / "quick.yaml").write_text(
        "trunk: {dimension: 8, layers: [2, 3], width: 16, depth: 2}\nbatch: 8\nepochs: 1\n"
        "held_out: 0.2\nprecision: fp32\n",
        encoding="utf-8",
    )
    options = ["--teacher", str(portraits / "teacher.npz"), "--config", str(portraits / "quick.yaml")]
    place = ["--images", str(portraits / "pictures"), "--out", str(portraits / "out")]
    done = CliRunner().invoke(app, [str(portraits / "index.csv"), *place, *options])
    assert done.exit_code == 0, done.output
    report = json.loads((portraits / "out" / "report.json").read_text())
    assert report["people"] == 3 and -1 <= report["agreement"] <= 1 and 0 <= report["recognised"] <= 1
    network = load_network(portraits / "out" / "weights.safetensors")
    assert network.embedding == SMALL.embedding
    ours, theirs = TorchRuntime(network), OnnxRuntime(portraits / "out" / "model.onnx", threads=1)
    assert ours.embedding == theirs.embedding is not None
    assert ours.embedding.digest == embedding_digest(network)
    picture = np.random.default_rng(0).integers(0, 256, (2, 90, 130, 3), dtype=np.uint8)
    mine, other = ours(picture, (), embedding=True), theirs(picture, (), embedding=True)
    np.testing.assert_allclose(mine.embedding, other.embedding, atol=1e-4)
    pytest.importorskip("openvino")
    from s3fd.inference.openvino_runtime import OpenVinoRuntime

    third = OpenVinoRuntime(portraits / "out" / "model.onnx", threads=1)
    assert third.embedding == ours.embedding
    np.testing.assert_allclose(third(picture, (), embedding=True).embedding, other.embedding, atol=1e-3)
    assert theirs(picture).embedding is None and theirs(picture, ["gender"]).embedding is None


def test_a_detector_gives_every_face_a_vector_in_the_same_pass(portraits: Path) -> None:
    plain = TorchRuntime(load_network(BUNDLED / "slim.safetensors"))
    with pytest.raises(ValueError, match="no embedding"):
        Detector(plain, embeddings=True)
    network = load_network(BUNDLED / "slim.safetensors")
    network.embed(Embedding(dimension=8, layers=(2, 3, 4), width=16, depth=2))
    photo = cv2.imread(str(Path(__file__).parents[2] / "examples" / "astronaut.jpg"))
    for size in (320, "auto"):
        detector = Detector(TorchRuntime(network), size=size, embeddings=True)
        faces = detector(photo)
        assert len(faces) == 1 and faces.embeddings is not None
        assert faces.embeddings.shape == (1, 8)
        assert np.linalg.norm(faces.embeddings[0]) == pytest.approx(1, abs=1e-5)
        assert faces[0:0].embeddings.shape == (0, 8)
        assert "embeddings" not in faces.to_dicts()[0]
    assert Detector(plain)(photo).embeddings is None
    assert detector(np.zeros((64, 64, 3), np.uint8)).embeddings.shape == (0, 8)


def test_the_digest_knows_what_makes_the_vectors_and_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("slim")
    network.embed(SMALL.embedding)
    digest = embedding_digest(network)
    save_network(network, "slim", tmp_path / "a.safetensors")
    assert embedding_digest(load_network(tmp_path / "a.safetensors")) == digest
    with torch.no_grad():
        network.heads.conf[2].bias.add_(1)
        assert embedding_digest(network) == digest
        network.backbone.stem[0].weight.add_(1)
        assert embedding_digest(network) == digest
        network.embedding_trunk.first[0][0].weight.add_(1e-3)
    assert embedding_digest(network) != digest


def test_a_run_goes_on_as_if_it_had_not_been_stopped(portraits: Path, tmp_path: Path) -> None:
    labels = read_faces(portraits / "index.csv", portraits / "pictures", "Person")
    teacher = read_teacher(portraits / "teacher.npz", portraits / "pictures")
    faces = [face for some in cut_out(labels.pictures, "Person", teacher) for face in some]
    config = QUICK.model_copy(update={"margin": MarginConfig(), "likeness": LikenessConfig(), "epochs": 6})
    steps: list[Step] = []
    whole = train(_detector(), faces, 3, config, lambda step, count: steps.append(step))
    assert [step.number for step in steps] == list(range(1, 10))

    def stop(step: Step, count: int) -> None:
        steps.append(step)
        if step.number == 5:
            raise KeyboardInterrupt

    for hear in (stop, lambda step, count: steps.append(step)):
        network = _detector()
        with contextlib.suppress(KeyboardInterrupt), open_journal(tmp_path, config, 4, {}) as journal:
            train(network, faces, 3, config, hear, journal)
    assert [step.number for step in steps[9:]] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    assert steps[14:] == steps[4:9]
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.state_dict().items())


def _detector() -> S3FD:
    torch.manual_seed(0)
    return build("slim").eval()


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_result, "export_onnx", lambda *given: None)  # it takes longer than all the rest
    (portraits / "run.yaml").write_text(
        "trunk: {dimension: 8, layers: [2, 3], width: 16, depth: 1}\nbatch: 8\n"
        "epochs: 20\nheld_out: 0.2\nprecision: fp32\ncheckpoint_every: 4\n",
        encoding="utf-8",
    )
    arguments = [
        *(str(portraits / "index.csv"), "--images", str(portraits / "pictures")),
        *("--config", str(portraits / "run.yaml"), "--teacher", str(portraits / "teacher.npz"), "--out"),
    ]
    whole, killed = portraits / "whole", portraits / "killed"
    train_and_kill(killed, 10, "embed", *arguments, killed)
    step = checkpoint.load(killed / "checkpoint.pt")["step"]
    assert step >= 8
    for folder, first in ((whole, 1), (killed, step + 1)):
        done = CliRunner().invoke(app, [*arguments, str(folder)])
        assert done.exit_code == 0, done.output
        line = rf"^training: {first} of \d+, loss \d+\.\d+, cosine with the teacher -?\d\.\d+$"
        assert re.search(line, done.output, re.M), done.output
    one, two = (load_network(folder / "weights.safetensors").state_dict() for folder in (whole, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)
    records = [(folder / "metrics.jsonl").read_text() for folder in (whole, killed)]
    assert records[0] == records[1]
    assert {"loss/total", "loss/likeness", "loss/margin", "agreement"} < json.loads(
        records[0].splitlines()[0]
    ).keys()
    other = CliRunner().invoke(app, [*arguments[:-3], "--out", str(killed)])  # without the teacher
    assert other.exit_code == 2 and "checkpoint.pt was written by a run with another teacher" in other.output


def test_the_configurations_are_valid() -> None:
    assert {"people", "teacher"} <= set(presets())
    files = sorted((Path(__file__).parents[2] / "configs" / "embedding").glob("*.yaml"))
    assert files
    for name in [*presets(), *map(str, files)]:
        assert load_config(name).trunk.embedding.dimension == 128


def test_a_teacher_is_asked_for_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "idle.yaml").write_text("margin: {weight: 0}", encoding="utf-8")
    for config in ("teacher", str(tmp_path / "idle.yaml")):
        done = CliRunner().invoke(app, ["nowhere.csv", "--images", str(tmp_path), "--config", config])
        assert done.exit_code == 2 and "learns from a teacher" in done.output


def test_what_does_not_fit_is_told(portraits: Path) -> None:
    place = ["--images", str(portraits / "pictures"), "--out", str(portraits / "out")]
    wide = CliRunner().invoke(
        app, [str(portraits / "index.csv"), *place, "--teacher", str(portraits / "teacher.npz")]
    )
    assert wide.exit_code == 2 and "have 8 dimensions" in wide.output
    (portraits / "quick.yaml").write_text("trunk: {dimension: 8}", encoding="utf-8")
    np.savez(portraits / "moved.npz", images=["a.png", "b.png"], boxes=np.zeros((2, 4)), vectors=np.eye(2, 8))
    options = ["--teacher", str(portraits / "moved.npz"), "--config", str(portraits / "quick.yaml")]
    other = CliRunner().invoke(app, [str(portraits / "index.csv"), *place, *options])
    assert other.exit_code == 2 and "no vector for any of the faces" in other.output
    with pytest.raises(ValueError, match="needs consecutive layers"):
        Embedding(layers=(2, 4))
    with pytest.raises(ValueError, match="slim"):
        build("vgg16").embed(Embedding())
