"""Imitation: a network's maps learn to say what another detector's maps say, on every cell of every picture.

Boxes say where in a picture faces are. A teacher's maps say of each cell what the teacher sees there, and so
hand on what it has learnt from pictures that this run does not have. After FitNets (Romero et al., ICLR
2015), with a channel's error counted as a share of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from s3fd.network.heads import DetectionHeads

LEAST_DEVIATION = 1e-3
"""Channels of the teacher that deviate less from their mean are judged as if they deviated this much."""

MEMORY = 0.99
"""How much of a channel's known mean and variance stays with each batch."""


class TeacherError(ValueError):
    """A teacher that cannot be used; the message names the file."""


class Teacher:
    """A detector as an ONNX file, whose maps are read by the names of its tensors."""

    def __init__(self, path: Path, tensors: Sequence[str], threads: int = 1) -> None:
        """Load the file; `tensors` name maps (1, C, h, w) that it computes of pictures (1, 3, H, W).

        Raises:
            TeacherError: the file cannot be read, or computes no such tensors.
        """
        try:
            model = onnx.load(str(path))
            del model.graph.output[:]
            model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in tensors)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # protobuf's, ONNX's and ONNX Runtime's own types have nothing in common
            raise TeacherError(f"{path} cannot teach {', '.join(tensors)}: {error}") from error
        self._path = path
        self._input = self._session.get_inputs()[0].name
        self.channels = tuple(
            maps.shape[1] for maps in self._run(np.zeros((1, 3, *self._sides()), np.float32))
        )

    def _sides(self) -> tuple[int, int]:
        """Height and width that the teacher takes; 128 where it takes any."""
        height, width = (
            side if isinstance(side, int) else 128 for side in self._session.get_inputs()[0].shape[2:]
        )
        return height, width

    def _run(self, picture: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(None, {self._input: picture})
        return outputs

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Look at pictures (B, 3, H, W), uint8 BGR, one by one; returns a map (B, C, h, w) for each tensor.

        Raises:
            TeacherError: it does not take pictures of this size.
        """
        single = pictures.cpu().numpy().astype(np.float32)
        try:
            answers = [self._run(picture[None]) for picture in single]
        except Exception as error:
            raise TeacherError(
                f"{self._path} does not take pictures of {single.shape[2:]}: {error}"
            ) from error
        return [torch.from_numpy(np.concatenate(maps)) for maps in zip(*answers, strict=True)]


class Imitation(nn.Module):
    """What a network's maps lack of a teacher's, through a 1×1 convolution that is thrown away afterwards."""

    def __init__(
        self, heads: DetectionHeads, channels: Sequence[int], teacher: Teacher, layers: Sequence[int]
    ) -> None:
        """Watch the maps that `heads` get, of so many `channels`; the teacher's maps belong to `layers`."""
        super().__init__()
        self._teacher = teacher
        self._layers = tuple(layers)
        self.adapters = nn.ModuleList(
            nn.Conv2d(channels[layer], count, 1)
            for layer, count in zip(layers, teacher.channels, strict=True)
        )
        for number, count in enumerate(teacher.channels):
            self.register_buffer(f"mean{number}", torch.zeros(count))
            self.register_buffer(f"variance{number}", torch.ones(count))
        self.register_buffer("batches", torch.zeros(()))
        self._maps: Sequence[Tensor] = ()
        heads.register_forward_pre_hook(self._watch)

    def _watch(self, heads: nn.Module, given: tuple[Sequence[Tensor]]) -> None:
        self._maps = given[0]

    def forward(self, pictures: Tensor) -> Tensor:
        """Distance (), for the pictures that the network has just seen: uint8 BGR (B, 3, H, W).

        It is the mean over layers and channels of the squared error as a share of the channel's variance: 1
        for maps that know nothing but the teacher's mean.
        """
        wanted = self._teacher(pictures)
        keep = MEMORY if self.batches else 0.0
        errors = []
        for number, (layer, target) in enumerate(zip(self._layers, wanted, strict=True)):
            target = target.to(self._maps[layer].device)
            mean, variance = self.get_buffer(f"mean{number}"), self.get_buffer(f"variance{number}")
            mean.lerp_(target.mean((0, 2, 3)), 1 - keep)
            variance.lerp_((target - mean[:, None, None]).square().mean((0, 2, 3)), 1 - keep)
            scale = variance.sqrt().clamp(min=LEAST_DEVIATION)[:, None, None]
            given = self.adapters[number](self._maps[layer].float())
            errors.append((given - (target - mean[:, None, None]) / scale).square().mean())
        self.get_buffer("batches").add_(1)
        return torch.stack(errors).mean()
