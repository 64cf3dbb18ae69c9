"""Configuration of a fine-tuning run: a YAML file, or one of the presets included in the package."""

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
"""Folder of the presets included in the package; ``recipe`` is the published exercise."""


class InitialHeadConfig(HeadConfig):
    """The head to add to the detector."""

    initial: Literal["copy", "random", "kept"] = Field(
        "copy",
        description="copy: the classes of a head of kind `layers` start as copies of the layer's face "
        "classifier, and a branch starts from the features of another branch with the same layers and depth, "
        "if the weights have one; random: the head starts untrained; kept: training continues from the "
        "existing head of that name",
    )
    kept_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the kept head's weights in the average of them and the trained ones, which "
        "forgets less (Wortsman et al., Robust fine-tuning of zero-shot models, 2022)",
    )

    @model_validator(mode="after")
    def _head_to_average_with(self) -> InitialHeadConfig:
        if self.kept_share and self.initial != "kept":
            raise ValueError("kept_share needs initial: kept, since a new head has no weights to keep")
        return self


class JointConfig(StrictConfig):
    """Joint training of a branch and the detector's coarser stages, see `s3fd.training.distillation`."""

    weight: float = Field(2.0, gt=0, description="weight of the loss that holds the detector to its teacher")
    rate: float = Field(0.5, gt=0, le=1, description="learning rate of the stages, relative to the branch's")
    others: int = Field(
        4, ge=0, description="unlabelled pictures per step, on which the detector is held to its teacher too"
    )
    first_stage: int = Field(
        2,
        ge=1,
        le=2,
        description="first stage that learns: 1 is the stage at stride 8, 2 the one at stride 16",
    )


class FinetuneConfig(StrictConfig):
    """A complete fine-tuning run; the defaults are those of the published exercise."""

    without_effect = frozenset({"checkpoint_every"})

    head: InitialHeadConfig = InitialHeadConfig()
    loss: Literal["cross_entropy", "binary"] = "cross_entropy"
    min_face_score: float = Field(
        0.05, ge=0, le=1, description="cells with a lower face score do not count in the loss"
    )
    balanced: bool = Field(False, description="every picture counts equally, however many cells it has")
    compose: bool = Field(
        False,
        description="training pictures are composed of labelled faces at all sizes; in pictures that are "
        "labelled as a whole, the detector locates the face",
    )
    single: bool = Field(
        False,
        description="training pictures show one labelled face each, large faces as often as small ones, "
        "unlike composed pictures; s3fd.attributes.single then sets the sizes, not `size` and `face_sizes`",
    )
    size: int = Field(320, ge=128, multiple_of=32, description="side of the training pictures in pixels")
    batch: int = Field(8, ge=1)
    epochs: float = Field(20, gt=0)
    least_steps: int = Field(1, ge=1, description="minimum, for tables so small that the epochs have fewer")
    flip: bool = Field(
        True, description="mirror half of the faces; turn off if the label depends on left and right"
    )
    distort: bool = True
    held_out: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the pictures, or of the groups if there is a --group, held out for testing",
    )
    joint: JointConfig | None = Field(None, description="only with a branch; if null, the detector is frozen")
    face_sizes: FaceSizes = Field((16, 400), description="range in pixels, in composed pictures")
    tilt: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that a face is rotated by up to 20°, in composed or single pictures",
    )
    hide: float = Field(
        0.0, ge=0, le=1, description="probability that a part of a face is covered, in composed pictures"
    )
    frozen_statistics: bool = Field(
        False,
        description="normalise batches by the kept head's own statistics, as at inference, instead of each "
        "batch's; the detector's statistics never change",
    )
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the weight average that is kept; 0: no average")
    seed: Seed = 0
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "fp32", description="auto: bf16 where the processor has instructions for it, fp32 elsewhere"
    )
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints")
    optimiser: OptimiserConfig = OptimiserConfig(rate=1e-3, warmup=20, weight_decay=0.0)

    @model_validator(mode="after")
    def _statistics_to_freeze(self) -> FinetuneConfig:
        if self.frozen_statistics and self.head.initial != "kept":
            raise ValueError(
                "frozen_statistics needs head.initial: kept, since a new head has no statistics yet"
            )
        return self

    @model_validator(mode="after")
    def _faces_to_vary(self) -> FinetuneConfig:
        if self.compose and self.single:
            raise ValueError("compose and single cannot be combined")
        if self.hide and not self.compose:
            raise ValueError("hide only applies to composed pictures: it needs compose: true")
        if self.tilt and not (self.compose or self.single):
            raise ValueError(
                "tilt only applies to composed or single faces: it needs compose: true or single: true"
            )
        return self


def presets() -> list[str]:
    """Return the names of the presets included in the package."""
    return preset_names(PRESETS)


def load_config(name: str) -> FinetuneConfig:
    """Read a preset by name, or a YAML file.

    Raises:
        ConfigError: `name` is neither a preset nor a file, the file is not YAML, or a field is not valid.
    """
    return read_preset(name, PRESETS, FinetuneConfig)
