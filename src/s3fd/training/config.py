"""Configuration of a training run: one YAML file, validated before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

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

from s3fd.anchors import STRIDES
from s3fd.data.targets import Target, parse_target
from s3fd.network.attributes import MIDDLE_LAYERS, Attribute


class StrictConfig(BaseModel):
    """Base class of configurations and their sections: frozen, finite numbers only, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Fields that do not affect the weights, so that a run may be resumed with other values."""

    def decisive(self) -> dict[str, Any]:
        """Return the fields that affect the weights."""
        return self.model_dump(exclude=set(self.without_effect))

    def refuse_idle(self, field: str, because: str) -> None:
        """Raise ValueError if a field that has no effect `because` of another has been changed.

        Its default is accepted: checkpoints name all fields.
        """
        if getattr(self, field) != type(self).model_fields[field].default:
            raise ValueError(f"{field} has no effect with {because}")


C = TypeVar("C", bound=StrictConfig)


Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A seed that both NumPy and PyTorch accept."""


def _rising(sizes: tuple[float, float]) -> tuple[float, float]:
    """Check that two sizes are positive and in ascending order."""
    if not 0 < sizes[0] <= sizes[1]:
        raise ValueError("must be the minimum and the maximum size in pixels, such as [16, 400]")
    return sizes


FaceSizes = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Smallest and largest size of faces in pixels."""


class NetworkConfig(StrictConfig):
    """The network to train."""

    backbone: Literal["slim", "vgg16", "vgg16_bn"] = Field(
        "slim", description="vgg16_bn is trained with batch normalisation and saved as a plain vgg16"
    )
    backgrounds: int = Field(
        3, ge=1, description="max-out background labels of the finest layer; 1: no max-out"
    )
    frozen_stages: bool = Field(
        False,
        description="train only slim's pyramid and the heads; its stages are frozen, and with them the "
        "attributes and embeddings that branch off them; for a run that starts from weights",
    )

    frozen_statistics: bool = Field(
        False,
        description="normalise batches with the statistics of the initial weights, as in inference, instead "
        "of each batch's own; for a run that starts from weights",
    )

    drop: float = Field(
        0.0, ge=0, lt=1, description="probability that a picture skips a block of slim (stochastic depth)"
    )

    @model_validator(mode="after")
    def _of_slim_alone(self) -> NetworkConfig:
        if self.frozen_stages and self.backbone != "slim":
            raise ValueError("frozen_stages needs the backbone slim")
        if self.drop and self.backbone != "slim":
            raise ValueError("drop needs the backbone slim")
        if self.frozen_statistics and self.backbone == "vgg16":
            raise ValueError("frozen_statistics has no effect on vgg16, which has no batch normalisation")
        return self


Url = Annotated[str, Field(pattern="://")]
"""A URL that fsspec supports, see `s3fd.data.location`."""


class DataConfig(StrictConfig):
    """One annotated data set; paths are relative to the data folder given on the command line."""

    format: Literal["wider", "voc", "yolo", "shards"]
    images: Path | Url = Field(description="folder, or shards such as train-{000..009}.tar")
    annotations: Path | Url | None = Field(
        None, description="file or folder; not for shards, which contain them"
    )
    repeat: int = Field(1, ge=1, description="number of times each picture is used in an epoch")

    @model_validator(mode="after")
    def _annotations_in_one_place(self) -> DataConfig:
        if self.format == "shards" and self.annotations is not None:
            raise ValueError("shards contain their annotations: remove `annotations`")
        if self.format != "shards" and self.annotations is None:
            raise ValueError(f"{self.format} needs `annotations`")
        return self


class MatchingConfig(StrictConfig):
    """Anchor matching; the defaults are the paper's scale compensation."""

    method: Literal["compensation", "aligned"] = Field(
        "compensation",
        description="aligned: of its `candidates`, a face is assigned those that predict it best",
    )
    candidates: int = Field(24, ge=1, description="candidate anchors per face, for `aligned`")
    match_iou: float = Field(0.35, gt=0, le=1)
    compensation_iou: float = Field(0.1, ge=0, le=1)
    anchors_per_face: int = Field(6, ge=0, description="0 disables the second stage")
    first_layer: int = Field(
        0, ge=0, le=5, description="detection layers before this one predict no faces; 1 excludes stride 4"
    )

    @model_validator(mode="after")
    def _anchors_for_faces(self) -> MatchingConfig:
        if self.method == "aligned" and not self.anchors_per_face:
            raise ValueError("method: aligned needs anchors_per_face: 1 or more")
        if not self.anchors_per_face:
            self.refuse_idle("compensation_iou", "anchors_per_face: 0")
        unread = "match_iou" if self.method == "aligned" else "candidates"
        self.refuse_idle(unread, f"method: {self.method}")
        return self


class AugmentationConfig(StrictConfig):
    """Augmentation of training pictures, see `s3fd.training.augmentation`."""

    anchor_sampling: float = Field(0.7, ge=0, le=1)
    grids: tuple[float, ...] = Field(
        (0.4, 0.35, 0.25), description="probabilities of 1, 2 × 2, 3 × 3 pictures"
    )
    distort: bool = True
    tilt: float = Field(0.0, ge=0, le=1, description="probability that a picture is rotated by up to 30°")

    @field_validator("grids")
    @classmethod
    def _sum_to_one(cls, grids: tuple[float, ...]) -> tuple[float, ...]:
        if min(grids, default=-1) < 0 or abs(sum(grids) - 1) > 1e-6:
            raise ValueError("must be probabilities that add up to 1")
        return grids


class HeadConfig(StrictConfig):
    """The head of an attribute, see `s3fd.network.attributes`."""

    kind: Literal["layers", "tower", "branch", "picture"] = "layers"
    layers: tuple[int, ...] = Field(MIDDLE_LAYERS, description="detection layers (0–5) with a head")
    depth: int = Field(2, ge=1, description="blocks in a tower, or in a branch at strides 16 and 32")


class AttributeConfig(StrictConfig):
    """An attribute that is trained together with face detection."""

    name: str
    target: str = Field(description="column and classes, such as Gender:F=female,M=male")
    head: HeadConfig = HeadConfig(kind="branch", layers=(2, 3, 4), depth=4)
    weight: float = Field(0.5, gt=0, description="weight of its loss relative to the detection loss")

    @field_validator("target")
    @classmethod
    def _classes_declared(cls, target: str) -> str:
        if isinstance(parse_target(target), str):
            raise ValueError("must declare its classes, such as Gender:F=female,M=male")
        return target

    @property
    def parsed(self) -> Target:
        """The parsed target."""
        target = parse_target(self.target)
        assert isinstance(target, Target)
        return target

    @property
    def attribute(self) -> Attribute:
        """The attribute as the network defines it."""
        return Attribute(self.name, self.parsed.names, self.head.kind, self.head.layers, self.head.depth)


class ComposedConfig(StrictConfig):
    """Labelled faces from which some training pictures are composed, see `s3fd.training.composition`."""

    images: Path
    annotations: Path = Field(
        description="CSV with one box per row; 1 in column `invalid` marks one to ignore"
    )
    share: float = Field(0.35, gt=0, le=1, description="fraction of the training pictures that are composed")
    face_sizes: FaceSizes = (16, 400)


class LossConfig(StrictConfig):
    """Detection loss, see `s3fd.training.losses`; the defaults are the paper's."""

    quality: bool = Field(False, description="the target score is the predicted box's IoU instead of 1")
    giou_weight: float = Field(0.0, ge=0, description="weight of generalised IoU; 0 uses smooth L1")
    focal: bool = Field(
        False, description="weight every anchor by its squared error; no hard-negative mining"
    )


class OptimiserConfig(StrictConfig):
    """Optimiser and schedule: linear warm-up, then cosine decay to `final` times `rate`."""

    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(2e-3, gt=0)
    final: float = Field(0.01, ge=0, le=1)
    warmup: int = Field(300, ge=0, description="steps of the warm-up")
    weight_decay: float = Field(0.02, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    clip: float = Field(10.0, gt=0, description="largest gradient norm")

    @model_validator(mode="after")
    def _momentum_is_used(self) -> OptimiserConfig:
        if self.name != "sgd":
            self.refuse_idle("momentum", f"name: {self.name}")
        return self


class TrainConfig(StrictConfig):
    """A complete training run."""

    without_effect = frozenset({"workers", "cache", "checkpoint_every", "pictures_every"})

    network: NetworkConfig = NetworkConfig()
    data: list[DataConfig] = Field(min_length=1)
    size: int = Field(
        320,
        ge=128,  # below it, the coarsest stage may see one cell, where PyTorch's bf16 gradient is undefined
        multiple_of=32,
        description="side of the training pictures in pixels",
    )
    batch: int = Field(16, ge=1, description="pictures per step, over all processes")
    accumulate: int = Field(
        1, ge=1, description="parts into which a process splits its share of a batch, to save memory"
    )
    steps: int = Field(ge=1)
    seed: Seed = 0
    matching: MatchingConfig = MatchingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    loss: LossConfig = LossConfig()
    attributes: list[AttributeConfig] = []
    composed: ComposedConfig | None = None
    optimiser: OptimiserConfig = OptimiserConfig()
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the moving average of the weights")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="auto: bf16 where the device has instructions for it, fp32 elsewhere"
    )
    workers: int = Field(2, ge=0, description="worker processes that read and augment pictures")
    cache: bool = Field(False, description="keep decoded pictures in memory, in every worker")
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    pictures_every: int = Field(1000, ge=1, description="steps between sample pictures in TensorBoard")

    @model_validator(mode="after")
    def _labels_for_attributes(self) -> TrainConfig:
        if bool(self.attributes) != (self.composed is not None):
            raise ValueError("`attributes` and `composed` must be used together")
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) < len(names):
            raise ValueError(f"attributes must have different names, not {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _one_target_score(self) -> TrainConfig:
        if self.loss.quality and self.matching.method == "aligned":
            raise ValueError(
                "loss: quality has no effect with matching: {method: aligned}, which sets the target scores"
            )
        return self

    @model_validator(mode="after")
    def _enough_to_normalise(self) -> TrainConfig:
        one_cell = self.size == STRIDES[-1] and self.batch // self.accumulate < 2
        normalised = self.network.backbone != "vgg16" and not self.network.frozen_statistics
        if one_cell and normalised:
            raise ValueError(
                f"at size {self.size}, the coarsest map has one cell, too few to normalise a single picture: "
                "use a larger size or batch, or network: {frozen_statistics: true}"
            )
        return self


UNKNOWN = "extra_forbidden"
"""Type of pydantic's error for a field that does not exist."""


class ConfigError(ValueError):
    """An invalid configuration; the message names the file and the field."""


def load_config(path: Path) -> TrainConfig:
    """Read the configuration of a training run from a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or has an invalid field.
    """
    return read_config(path, TrainConfig)


def read_config(path: Path, kind: type[C], empty: object = None) -> C:
    """Read a YAML file as a configuration of `kind`; a file without content is read as `empty`.

    Raises:
        ConfigError: the file is missing, is not YAML, or has an invalid field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return kind.model_validate(empty if content is None else content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        # A field that does not exist comes first: it may be a required one that is misspelt.
        first = min(error.errors(), key=lambda one: one["type"] != UNKNOWN)
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        reason = "no such field" if first["type"] == UNKNOWN else first["msg"]
        raise ConfigError(f"{path}: {field}: {reason}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: too deeply nested") from error
    except (yaml.YAMLError, ValueError) as error:  # an impossible date, or bytes that are not UTF-8
        raise ConfigError(f"{path}: {error}") from error


def preset_names(folder: Path) -> list[str]:
    """Return the names of the configurations in `folder`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_preset(name: str, folder: Path, kind: type[C]) -> C:
    """Read a configuration of `kind`: a preset in `folder` by its name, or any YAML file.

    Raises:
        ConfigError: `name` is neither a preset nor a file, or the file is not YAML or has an invalid field.
    """
    known = preset_names(folder)
    path = folder / f"{name}.yaml" if name in known else Path(name)
    if not path.is_file():
        raise ConfigError(f"{name}: no such file or preset (presets: {', '.join(known)})")
    return read_config(path, kind, empty={})
