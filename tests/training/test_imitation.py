"""Maps that learn what a teacher's maps say."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest
import torch
from square_run import settings

from s3fd.network import build
from s3fd.training import loop
from s3fd.training.config import TrainConfig
from s3fd.training.imitation import Imitation, Teacher, TeacherError
from s3fd.training.trainer import Trainer

# Two maps of stride 8: mean colours, and how much more blue there is than red.
TEXT = """
<ir_version: 8, opset_import: ["": 18]>
teacher (float[1, 3, 128, 128] picture) => (float[1, 3, h, w] answer)
{
    colours = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(picture)
    first, second, third = Split<axis = 1, num_outputs = 3>(colours)
    more = Sub(first, third)
    answer = Identity(colours)
}
"""


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "teacher.onnx")
    return tmp_path / "teacher.onnx"


def imitating(teacher: Path, **changes: object) -> TrainConfig:
    imitation = {"teacher": str(teacher), "maps": {"1": "colours"}, "weight": 1.0}
    return TrainConfig.model_validate(settings(imitation=imitation, precision="fp32", **changes))


def test_a_teacher_says_what_its_tensors_hold(teacher: Path) -> None:
    pictures = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    colours, more = Teacher(teacher, ["colours", "more"])(pictures)
    means = torch.nn.functional.avg_pool2d(pictures.float(), 8)
    torch.testing.assert_close(colours, means)
    torch.testing.assert_close(more, means[:, :1] - means[:, 2:])


def test_a_teacher_that_has_no_such_tensor_is_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"teacher\.onnx cannot teach nothing"):
        Teacher(teacher, ["nothing"])
    with pytest.raises(TeacherError, match=r"away\.onnx cannot teach colours"):
        Teacher(tmp_path / "away.onnx", ["colours"])


def test_pictures_of_another_size_than_the_teacher_takes_are_refused(teacher: Path) -> None:
    with pytest.raises(TeacherError, match=r"does not take pictures of \(160, 160\)"):
        Teacher(teacher, ["colours"])(torch.zeros(1, 3, 160, 160, dtype=torch.uint8))


def test_the_distance_is_1_without_knowledge_and_0_with_all(teacher: Path) -> None:
    network = build("slim")
    imitation = Imitation(network.heads, (3,) * 6, Teacher(teacher, ["colours"]), [1])
    pictures = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    means = torch.nn.functional.avg_pool2d(pictures.float(), 8)
    adapter = imitation.adapters[0]
    torch.nn.init.zeros_(adapter.weight)
    torch.nn.init.zeros_(adapter.bias)
    imitation._watch(network.heads, ([torch.empty(0), means],))
    assert imitation(pictures).item() == pytest.approx(1, abs=0.01)
    scale = means.var((0, 2, 3), unbiased=False).sqrt()
    with torch.no_grad():
        adapter.weight[:, :, 0, 0] = torch.diag(1 / scale)
        adapter.bias[:] = -means.mean((0, 2, 3)) / scale
    assert imitation(pictures).item() == pytest.approx(0, abs=1e-3)


def test_the_backbone_learns_from_a_teacher(squares: Path, teacher: Path) -> None:
    config = imitating(teacher, steps=60, batch=4)
    samples, _ = loop.read_data(config.data, squares)
    trainer = Trainer(config, torch.device("cpu"))
    told = [trainer.advance(batch)["loss/imitation"] for batch in loop.batches(config, samples, [], 0)]
    assert sum(told[-10:]) < 0.7 * sum(told[:10])
    trainer.optimiser.zero_grad()
    batch = next(iter(loop.batches(config, samples, [], 0)))
    trainer._predict(batch)
    assert trainer.imitation is not None
    trainer.imitation(batch.pictures).backward()
    assert all(p.grad.abs().sum() > 0 for p in trainer.network.backbone.stem.parameters())


def test_a_run_with_a_teacher_goes_on_as_if_nothing_had_happened(
    squares: Path, teacher: Path, tmp_path: Path
) -> None:
    config = imitating(teacher, steps=4)
    samples, _ = loop.read_data(config.data, squares)
    whole, first, second = (Trainer(config, torch.device("cpu")) for _ in range(3))
    batches = list(loop.batches(config, samples, [], 0))
    told = [whole.advance(batch) for batch in batches]
    for batch in batches[:2]:
        first.advance(batch)
    first.save(tmp_path / "checkpoint.pt")
    second.restore(tmp_path / "checkpoint.pt")
    for figures, batch in zip(told[2:], batches[2:], strict=True):
        assert second.advance(batch) == pytest.approx(figures, rel=1e-4)


def test_layers_that_do_not_exist_are_refused(teacher: Path) -> None:
    with pytest.raises(ValueError, match="detection layers 0–5"):
        TrainConfig.model_validate(settings(imitation={"teacher": str(teacher), "maps": {"6": "colours"}}))
