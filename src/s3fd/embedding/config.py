"""Configuration of an embedding's training run: a YAML file, or one of the presets in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from s3fd.network.embedding import Embedding
from s3fd.training.config import OptimiserConfig, Seed, StrictConfig, preset_names, read_preset

PRESETS = Path(__file__).with_name("presets")
"""Folder of the presets included in the package."""


class TrunkConfig(StrictConfig):
    """Shape of the trunk, see `s3fd.network.embedding`."""

    dimension: int = Field(128, ge=2)
    layers: tuple[int, ...] = Field((2, 3, 4), description="detection layers with an embedding, from 2 on")
    width: int = Field(256, ge=1)
    depth: int = Field(8, ge=1)

    @property
    def embedding(self) -> Embedding:
        """The shape as the network takes it."""
        return Embedding(self.dimension, self.layers, self.width, self.depth)


class LikenessConfig(StrictConfig):
    """The loss on a face's similarities to all other faces, see `s3fd.embedding.loss`."""

    temperature: float = Field(0.07, gt=0, description="cosines are divided by it")
    weight: float = Field(1.0, ge=0, description="relative to the loss of the vectors themselves")


class MarginConfig(StrictConfig):
    """The loss on faces whose person is known, see `s3fd.embedding.loss`."""

    kind: Literal["cosface", "arcface"] = "cosface"
    margin: float = Field(
        0.35, ge=0, description="subtracted from the cosine, or added to the angle in radians"
    )
    scale: float = Field(30.0, gt=0, description="cosines are multiplied by it")
    weight: float = Field(1.0, ge=0, description="relative to the loss of the vectors themselves")


class EmbedConfig(StrictConfig):
    """A complete run."""

    without_effect = frozenset({"checkpoint_every"})

    trunk: TrunkConfig = TrunkConfig()
    likeness: LikenessConfig = LikenessConfig()
    margin: MarginConfig = MarginConfig()
    needs_teacher: bool = Field(False, description="refuse to run without --teacher")
    batch: int = Field(128, ge=8, description="faces per step")
    epochs: float = Field(20, gt=0)
    held_out: float = Field(0.05, ge=0, lt=1, description="share of the pictures held out for testing")
    seed: Seed = 0
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the processor has instructions for it, fp32 elsewhere"
    )
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    optimiser: OptimiserConfig = OptimiserConfig(rate=3e-3, warmup=200, weight_decay=0.05)


def presets() -> list[str]:
    """Return the names of the presets included in the package."""
    return preset_names(PRESETS)


def load_config(name: str) -> EmbedConfig:
    """Read a preset by name, or a YAML file.

    Raises:
        ConfigError: `name` is neither a preset nor a file, the file is not YAML, or a field is not valid.
    """
    return read_preset(name, PRESETS, EmbedConfig)
