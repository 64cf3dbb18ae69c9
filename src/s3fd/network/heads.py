"""The detection heads: a 3×3 convolution for the class and one for the box, on each of six maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s3fd.network.layer_logits import LayerLogits

PRIOR = 0.01
"""Face probability of an untrained head: most anchors are background (focal loss paper, section 4.1)."""


SILENT = -20.0
"""Face logit of a silenced layer: a probability of 2·10⁻⁹."""


class Predictions(NamedTuple):
    """Predictions for every anchor, in the order of `s3fd.anchors.anchors`.

    Attributes:
        logits: (B, A, 2): background, face; before softmax.
        deltas: (B, A, 4): SSD box encoding relative to the anchor.
        map_sizes: (height, width) in cells of each of the six maps.
        attributes: logits of each attribute's heads, by name.
        embedding: (B, cells, dimension): vectors of any length on the embedding's layers, one layer after the
            other; None if there is no embedding or it was not requested.
    """

    logits: Tensor
    deltas: Tensor
    map_sizes: list[tuple[int, int]]
    attributes: Mapping[str, LayerLogits] = MappingProxyType({})
    embedding: Tensor | None = None


def face_scores(logits: Tensor) -> Tensor:
    """Return face probabilities (B, A) for logits (B, A, 2); the softmax of two classes is a sigmoid."""
    return torch.sigmoid(logits[..., 1] - logits[..., 0])


def max_out(logits: Tensor) -> Tensor:
    """Reduce n background logits and one face logit to two: (B, n + 1, …) to (B, 2, …).

    Paper, section 3.3: the finest layer has three quarters of all anchors and produces most false positives.
    Taking the maximum of several background logits rejects more of them.
    """
    if logits.shape[1] == 2:
        return logits
    background, face = logits[:, :-1], logits[:, -1:]
    return torch.cat([background.amax(dim=1, keepdim=True), face], dim=1)


class DetectionHeads(nn.Module):
    """Class and box convolutions on each map; the first class head has `backgrounds` background channels."""

    def __init__(self, channels: Sequence[int], backgrounds: int = 3) -> None:
        """Build heads for maps of `channels`; `backgrounds` = 1 gives plain two-class heads everywhere."""
        super().__init__()
        self.backgrounds = backgrounds
        counts = [backgrounds] + [1] * (len(channels) - 1)
        self.conf = nn.ModuleList(
            nn.Conv2d(c, n + 1, 3, padding=1) for c, n in zip(channels, counts, strict=True)
        )
        self.loc = nn.ModuleList(nn.Conv2d(c, 4, 3, padding=1) for c in channels)
        for conf in self.conf:
            assert isinstance(conf, nn.Conv2d) and conf.bias is not None
            nn.init.normal_(conf.weight, std=0.01)
            nn.init.zeros_(conf.bias)
            conf.bias.data[-1] = math.log(PRIOR / (1 - PRIOR))
        for loc in self.loc:
            assert isinstance(loc, nn.Conv2d) and loc.bias is not None
            nn.init.normal_(loc.weight, std=0.01)
            nn.init.zeros_(loc.bias)

    @torch.no_grad()
    def silence(self, layer: int) -> None:
        """Make a detection layer (0–5) predict no face anywhere."""
        conf = self.conf[layer]
        assert isinstance(conf, nn.Conv2d) and conf.bias is not None
        nn.init.zeros_(conf.weight)
        nn.init.zeros_(conf.bias)
        conf.bias[-1] = SILENT

    def forward(self, maps: Sequence[Tensor]) -> Predictions:
        """Predict from six maps (B, C, H, W), finest first."""
        logits, deltas = [], []
        for conf, loc, features in zip(self.conf, self.loc, maps, strict=True):
            scores, boxes = _both(conf, loc, features)
            logits.append(max_out(scores).flatten(2))
            deltas.append(boxes.flatten(2))
        return Predictions(
            torch.cat(logits, dim=2).transpose(1, 2),
            torch.cat(deltas, dim=2).transpose(1, 2),
            [(m.shape[-2], m.shape[-1]) for m in maps],
        )


def _both(a: nn.Module, b: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Apply two 3×3 convolutions to a map (B, C, H, W), computed as one because each has few channels."""
    assert isinstance(a, nn.Conv2d) and isinstance(b, nn.Conv2d) and a.bias is not None and b.bias is not None
    weight, bias = torch.cat([a.weight, b.weight]), torch.cat([a.bias, b.bias])
    y = F.conv2d(x, weight, bias, padding=1)
    return y[:, : a.out_channels], y[:, a.out_channels :]
