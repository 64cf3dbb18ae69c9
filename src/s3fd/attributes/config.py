"""What a fine-tuning run is: one YAML file, or one of the presets that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from s3fd.training.config import (
    FaceSizes,
    HeadConfig,
    OptimiserConfig,
    Seed,
    StrictConfig,
    preset_names,
    read_preset,
)

PRESETS = Path(__file__).with_name("presets")
"""Where the configurations that come with the package lie: ``recipe`` is the published exercise."""


class InitialHeadConfig(HeadConfig):
    """The head that is added to the detector."""

    initial: Literal["copy", "random", "kept"] = Field(
        "copy",
        description="copy: every class starts as the layer's face classifier, and a branch with the features "
        "of a branch of the same layers and depth, if the weights have one; kept: from the head of that name",
    )


class JointConfig(StrictConfig):
    """The detector's coarser stages learn with a branch, see `s3fd.training.distillation`."""

    weight: float = Field(2.0, gt=0, description="of the loss that holds the detector to what it said")
    rate: float = Field(0.5, gt=0, le=1, description="of the stages, as a share of the branch's")
    others: int = Field(4, ge=0, description="pictures without labels a step, on which it is held as well")
    first_stage: int = Field(
        2,
        ge=1,
        le=2,
        description="first of the stages that learn: 2 is that at stride 16, 1 that at stride 8",
    )


class FinetuneConfig(StrictConfig):
    """A whole fine-tuning run; the defaults are the published exercise's."""

    head: InitialHeadConfig = InitialHeadConfig()
    loss: Literal["cross_entropy", "binary"] = "cross_entropy"
    min_face_score: float = Field(
        0.05, ge=0, le=1, description="cells with a lower face score are not trained"
    )
    balanced: bool = Field(False, description="every picture counts as much, however many cells it has")
    compose: bool = Field(
        False,
        description="training pictures are composed of labelled faces at all sizes; the detector finds those "
        "of pictures that are labelled as a whole",
    )
    single: bool = Field(
        False,
        description="training pictures show one labelled face each, as often a large one as a small one, "
        "which composed pictures do not; `size` and `face_sizes` are then those of s3fd.attributes.single",
    )
    size: int = Field(320, ge=128, multiple_of=32, description="side of the training pictures in pixels")
    batch: int = Field(8, ge=1)
    epochs: float = Field(20, gt=0)
    least_steps: int = Field(1, ge=1, description="for tables so small that the epochs have fewer")
    flip: bool = Field(
        True, description="every second face is mirrored: not for labels that tell left and right"
    )
    distort: bool = True
    held_out: float = Field(0.1, ge=0, lt=1, description="share of the pictures that is kept for testing")
    joint: JointConfig | None = Field(None, description="else the detector is frozen; only with a branch")
    face_sizes: FaceSizes = Field((16, 400), description="pixels, in composed pictures")
    tilt: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that a face is turned by up to 20°, in composed pictures or single",
    )
    hide: float = Field(
        0.0, ge=0, le=1, description="probability that a part of a face is hidden, in composed pictures"
    )
    frozen_statistics: bool = Field(
        False,
        description="batches are normalised by the statistics that the kept head came with, as in use, not "
        "by each batch's own; the detector's never change",
    )
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the weight average that is kept; 0 is the last")
    seed: Seed = 0
    precision: Literal["bf16", "fp32"] = "fp32"
    checkpoint_every: int = Field(500, ge=1, description="steps")
    optimiser: OptimiserConfig = OptimiserConfig(rate=1e-3, warmup=20, weight_decay=0.0)

    @model_validator(mode="after")
    def _statistics_to_freeze(self) -> FinetuneConfig:
        if self.frozen_statistics and self.head.initial != "kept":
            raise ValueError("frozen_statistics asks for a head that is kept: a new one has none to use")
        return self

    @model_validator(mode="after")
    def _faces_to_vary(self) -> FinetuneConfig:
        if self.compose and self.single:
            raise ValueError("training pictures are composed or show a single face, not both")
        if self.hide and not self.compose:
            raise ValueError("hide is done to faces in composed pictures: it takes compose: true")
        if self.tilt and not (self.compose or self.single):
            raise ValueError("tilt is done to faces: it takes compose: true or single: true")
        return self


def presets() -> list[str]:
    """Names of the configurations that come with the package."""
    return preset_names(PRESETS)


def load_config(name: str) -> FinetuneConfig:
    """Read a preset by its name, or a YAML file.

    Raises:
        ConfigError: neither a preset nor a file, no YAML, or a field that does not fit.
    """
    return read_preset(name, PRESETS, FinetuneConfig)
