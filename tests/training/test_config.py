import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from s3fd.attributes.config import FinetuneConfig
from s3fd.training.config import (
    AugmentationConfig,
    ComposedConfig,
    ConfigError,
    StrictConfig,
    TrainConfig,
    load_config,
)

DATA = "data: [{format: wider, images: i, annotations: a}]\n"


def test_bundled_recipe_is_valid() -> None:
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")):
        assert load_config(path).steps > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 1\n", "data: Field required"),
        (DATA, "steps: Field required"),
        (DATA + "steps: 0\n", "steps:"),
        (DATA + "steps: 1\nstep: 2\n", "step: no such field"),
        (DATA + "stpes: 1\n", "stpes: no such field"),
        (DATA + "steps: 1\nsize: 200\n", "size: .*multiple"),
        (DATA + "steps: 1\nsize: 64\n", "size: .*128"),
        (DATA + "steps: 1\nsize: 128\nbatch: 1\n", "at size 128, the coarsest map has one cell"),
        (DATA + "steps: 1\nsize: 128\nbatch: 2\naccumulate: 2\n", "at size 128, the coarsest map has one"),
        (DATA + "steps: 1\nseed: -1\n", "seed: .*greater"),
        (DATA + "steps: 1\naugmentation: {grids: [0.5, 0.2]}\n", "augmentation.grids: .*add up to 1"),
        (
            DATA + "steps: 1\nmatching: {method: aligned, anchors_per_face: 0}\n",
            "matching: .*anchors_per_face: 1 or more",
        ),
        (
            DATA + "steps: 1\nmatching: {method: aligned, match_iou: 0.5}\n",
            "matching: .*match_iou has no effect with method: aligned",
        ),
        (DATA + "steps: 1\nmatching: {candidates: 9}\n", "candidates has no effect with method: comp"),
        (
            DATA + "steps: 1\nmatching: {compensation_iou: 0.2, anchors_per_face: 0}\n",
            "compensation_iou has no effect with anchors_per_face: 0",
        ),
        (
            DATA + "steps: 1\nmatching: {method: aligned}\nloss: {quality: true}\n",
            "quality has no effect with matching: {method: aligned}",
        ),
        (DATA + "steps: 1\noptimiser: {momentum: 0.5}\n", "momentum has no effect with name: adamw"),
        ("data: [{format: coco, images: i, annotations: a}]\nsteps: 1\n", "data.0.format"),
        ("a: [\n", "while parsing"),
        ("", "the file"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        load_config(path)
    assert str(path) in str(error.value)


def test_a_configuration_is_read_again_as_checkpoints_name_it(tmp_path: Path) -> None:
    """They name all fields, also those that have no effect with others."""
    path = tmp_path / "run.yaml"
    path.write_text(DATA + "steps: 1\nmatching: {method: aligned}\n")
    config = load_config(path)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_what_is_not_normalised_by_its_own_statistics_may_be_of_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    for network in ("{backbone: vgg16}", "{frozen_statistics: true}"):
        path.write_text(DATA + f"steps: 1\nsize: 128\nbatch: 1\nnetwork: {network}\n")
        assert load_config(path).batch == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("attributes", "composed", "message"),
    [
        ([{"name": "gender", "target": "Gender"}], {"images": ".", "annotations": "a.csv"}, "declare"),
        ([{"name": "gender", "target": "Gender:F,M"}], None, "composed"),
        ([], {"images": ".", "annotations": "a.csv"}, "attributes"),
        ([{"name": "a", "target": "A:x,y"}] * 2, {"images": ".", "annotations": "a.csv"}, "different names"),
    ],
)
def test_attributes_need_classes_labels_and_names(
    attributes: list[object], composed: object, message: str
) -> None:
    data = [{"format": "wider", "images": ".", "annotations": "gt.txt"}]
    with pytest.raises(ValidationError, match=message):
        TrainConfig.model_validate({"data": data, "steps": 1, "attributes": attributes, "composed": composed})


@pytest.mark.parametrize("sizes", [[400, 16], [0, 400], [-5, 10]])
def test_face_sizes_rise_from_over_0(sizes: list[float]) -> None:
    with pytest.raises(ValidationError, match="the minimum and the maximum size"):
        ComposedConfig.model_validate({"images": ".", "annotations": "a.csv", "face_sizes": sizes})
    with pytest.raises(ValidationError, match="the minimum and the maximum size"):
        FinetuneConfig.model_validate({"face_sizes": sizes})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (FinetuneConfig, {"epochs": math.inf}),
        (FinetuneConfig, {"epochs": math.nan}),
        (FinetuneConfig, {"held_out": math.nan}),
        (FinetuneConfig, {"face_sizes": [16, math.inf]}),
        (ComposedConfig, {"images": ".", "annotations": "a.csv", "face_sizes": [16, math.inf]}),
        (AugmentationConfig, {"grids": [math.nan, 1.0]}),
    ],
)
def test_numbers_are_finite(kind: type[StrictConfig], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="finite"):
        kind.model_validate(fields)
