"""What a training run is: one YAML file, checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from s3fd.data.targets import Target, parse_target
from s3fd.network.attributes import MIDDLE_LAYERS, Attribute


class StrictConfig(BaseModel):
    """A part of a configuration: frozen, all numbers finite, and without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


C = TypeVar("C", bound=StrictConfig)


Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What NumPy and PyTorch both take for one."""


def _rising(sizes: tuple[float, float]) -> tuple[float, float]:
    """Check that the first of two sizes is over 0 and not over the second."""
    if not 0 < sizes[0] <= sizes[1]:
        raise ValueError("must be the least and the greatest size in pixels, such as [16, 400]")
    return sizes


FaceSizes = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Least and greatest size of faces in pixels."""


class NetworkConfig(StrictConfig):
    """Which network is trained."""

    backbone: Literal["slim", "vgg16", "vgg16_bn"] = Field(
        "slim", description="vgg16_bn normalises batches while it is trained; its weights are a plain vgg16's"
    )
    backgrounds: int = Field(3, ge=1, description="max-out background labels of the finest layer; 1 is none")
    frozen_stages: bool = Field(
        False,
        description="slim's pyramid and the heads learn, while its stages, and with them the attributes and "
        "embeddings that branch off them, stay as they are; for a run that starts from weights",
    )

    frozen_statistics: bool = Field(
        False,
        description="batches are normalised by the statistics that the weights came with, as in use, and not "
        "by each batch's own; for a run that starts from weights",
    )

    drop: float = Field(
        0.0, ge=0, lt=1, description="probability that a picture skips a block of slim's (stochastic depth)"
    )

    @model_validator(mode="after")
    def _of_slim_alone(self) -> NetworkConfig:
        if self.frozen_stages and self.backbone != "slim":
            raise ValueError("only slim has stages to freeze")
        if self.drop and self.backbone != "slim":
            raise ValueError("only slim has blocks to skip")
        return self


Url = Annotated[str, Field(pattern="://")]
"""A place that fsspec knows, see `s3fd.data.location`."""


class DataConfig(StrictConfig):
    """One annotated set; paths are relative to the data folder given on the command line."""

    format: Literal["wider", "voc", "yolo", "shards"]
    images: Path | Url = Field(description="folder, or shards such as train-{000..009}.tar")
    annotations: Path | Url | None = Field(None, description="file or folder; shards have theirs inside")
    repeat: int = Field(1, ge=1, description="times each picture counts in an epoch")

    @model_validator(mode="after")
    def _annotations_in_one_place(self) -> DataConfig:
        if self.format == "shards" and self.annotations is not None:
            raise ValueError("shards have their annotations inside: no `annotations`")
        if self.format != "shards" and self.annotations is None:
            raise ValueError(f"{self.format} needs `annotations`")
        return self


class MatchingConfig(StrictConfig):
    """Scale-compensation anchor matching; the defaults are the paper's."""

    method: Literal["compensation", "aligned"] = Field(
        "compensation",
        description="aligned: among `candidates`, those that predict the face best answer for it",
    )
    candidates: int = Field(24, ge=1, description="anchors a face may choose from, of `aligned`")
    match_iou: float = Field(0.35, gt=0, le=1)
    compensation_iou: float = Field(0.1, ge=0, le=1)
    anchors_per_face: int = Field(6, ge=0, description="0 leaves out the second stage")
    first_layer: int = Field(
        0, ge=0, le=5, description="detection layers before this one see no face; 1 leaves out stride 4"
    )

    @model_validator(mode="after")
    def _anchors_for_faces(self) -> MatchingConfig:
        if self.method == "aligned" and not self.anchors_per_face:
            raise ValueError("anchors_per_face: 0 gives faces no anchor at all where method is aligned")
        return self


class AugmentationConfig(StrictConfig):
    """How training pictures are made, see `s3fd.training.augmentation`."""

    anchor_sampling: float = Field(0.7, ge=0, le=1)
    grids: tuple[float, ...] = Field(
        (0.4, 0.35, 0.25), description="probabilities of 1, 2 × 2, 3 × 3 pictures"
    )
    distort: bool = True
    tilt: float = Field(0.0, ge=0, le=1, description="probability that a picture is turned by up to 30°")

    @field_validator("grids")
    @classmethod
    def _sum_to_one(cls, grids: tuple[float, ...]) -> tuple[float, ...]:
        if min(grids, default=-1) < 0 or abs(sum(grids) - 1) > 1e-6:
            raise ValueError("must be probabilities that add up to 1")
        return grids


class HeadConfig(StrictConfig):
    """The head of an attribute, see `s3fd.network.attributes`."""

    kind: Literal["layers", "tower", "branch", "picture"] = "layers"
    layers: tuple[int, ...] = Field(MIDDLE_LAYERS, description="detection layers with a head, of 0–5")
    depth: int = Field(2, ge=1, description="blocks of a tower, or of a branch at strides 16 and 32")


class AttributeConfig(StrictConfig):
    """An attribute that is learnt together with the faces."""

    name: str
    target: str = Field(description="column and classes, such as Gender:F=female,M=male")
    head: HeadConfig = HeadConfig(kind="branch", layers=(2, 3, 4), depth=4)
    weight: float = Field(0.5, gt=0, description="of its loss, beside that of finding faces")

    @field_validator("target")
    @classmethod
    def _classes_declared(cls, target: str) -> str:
        if isinstance(parse_target(target), str):
            raise ValueError("must declare its classes, such as Gender:F=female,M=male")
        return target

    @property
    def parsed(self) -> Target:
        """The target."""
        target = parse_target(self.target)
        assert isinstance(target, Target)
        return target

    @property
    def attribute(self) -> Attribute:
        """What the network answers."""
        return Attribute(self.name, self.parsed.names, self.head.kind, self.head.layers, self.head.depth)


class ComposedConfig(StrictConfig):
    """Labelled faces of which some training pictures are composed, see `s3fd.training.composition`."""

    images: Path
    annotations: Path = Field(description="CSV with a label a box; column `invalid` is 1 for no label")
    share: float = Field(0.35, gt=0, le=1, description="of the training pictures")
    face_sizes: FaceSizes = (16, 400)


class LossConfig(StrictConfig):
    """What the network is punished for, see `s3fd.training.losses`; the defaults are the paper's."""

    quality: bool = Field(False, description="scores are trained to be the box's IoU instead of 1")
    giou_weight: float = Field(0.0, ge=0, description="of generalised IoU; 0 is smooth L1")
    focal: bool = Field(
        False, description="every anchor counts by its error squared; no hard-negative mining"
    )


class OptimiserConfig(StrictConfig):
    """Optimiser and schedule: linear warm-up, then a cosine down to `final` times the rate."""

    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(2e-3, gt=0)
    final: float = Field(0.01, ge=0, le=1)
    warmup: int = Field(300, ge=0, description="steps")
    weight_decay: float = Field(0.02, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    clip: float = Field(10.0, gt=0, description="largest gradient norm")


class TrainConfig(StrictConfig):
    """A whole training run."""

    network: NetworkConfig = NetworkConfig()
    data: list[DataConfig] = Field(min_length=1)
    size: int = Field(
        320,
        ge=128,  # below it the coarsest stage sees one cell, and PyTorch's bf16 gradient there is not defined
        multiple_of=32,
        description="side of the training pictures in pixels",
    )
    batch: int = Field(16, ge=1, description="pictures a step, of all processes together")
    accumulate: int = Field(
        1, ge=1, description="parts in which a process sees its share of a batch, where memory is short"
    )
    steps: int = Field(ge=1)
    seed: Seed = 0
    matching: MatchingConfig = MatchingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    loss: LossConfig = LossConfig()
    attributes: list[AttributeConfig] = []
    composed: ComposedConfig | None = None
    optimiser: OptimiserConfig = OptimiserConfig()
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the weight average that is kept")
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    workers: int = Field(2, ge=0, description="processes that read and augment")
    cache: bool = Field(False, description="keep decoded pictures in memory, in every worker")
    checkpoint_every: int = Field(500, ge=1, description="steps")
    pictures_every: int = Field(1000, ge=1, description="steps between sample pictures in TensorBoard")

    @model_validator(mode="after")
    def _labels_for_attributes(self) -> TrainConfig:
        if bool(self.attributes) != (self.composed is not None):
            raise ValueError("attributes need `composed` labelled faces, and these are for attributes")
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) < len(names):
            raise ValueError(f"attributes need names of their own, not {', '.join(names)}")
        return self


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file and the field."""


def load_config(path: Path) -> TrainConfig:
    """Read a YAML file.

    Raises:
        ConfigError: the file is missing, no YAML, or has a field that does not fit.
    """
    return read_config(path, TrainConfig)


def read_config(path: Path, kind: type[C], empty: object = None) -> C:
    """Read a YAML file as a configuration of `kind`; a file without content is read as `empty`.

    Raises:
        ConfigError: the file is missing, no YAML, or has a field that does not fit.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return kind.model_validate(empty if content is None else content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: {field}: {first['msg']}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: too deeply nested") from error
    except (yaml.YAMLError, ValueError) as error:  # a date that is none, or bytes that are no UTF-8
        raise ConfigError(f"{path}: {error}") from error


def preset_names(folder: Path) -> list[str]:
    """Names of the configurations that lie in `folder`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_preset(name: str, folder: Path, kind: type[C]) -> C:
    """Read a configuration of `kind`: one of `folder` by its name, or any YAML file.

    Raises:
        ConfigError: neither a preset nor a file, no YAML, or a field that does not fit.
    """
    known = preset_names(folder)
    path = folder / f"{name}.yaml" if name in known else Path(name)
    if not path.is_file():
        raise ConfigError(f"{name}: neither a file nor one of {', '.join(known)}")
    return read_config(path, kind, empty={})
