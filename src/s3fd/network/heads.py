"""The detection heads: a 3×3 convolution for the class and one for the box, on each of six maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

PRIOR = 0.01
"""Face probability of an untrained head: most anchors are background (focal loss paper, section 4.1)."""


class Predictions(NamedTuple):
    """What the heads say of every anchor, in the order of `s3fd.anchors.anchors`.

    Attributes:
        logits: (B, A, 2): background, face; before softmax.
        deltas: (B, A, 4): SSD box coding relative to the anchor.
        map_sizes: (height, width) in cells of each of the six maps.
    """

    logits: Tensor
    deltas: Tensor
    map_sizes: list[tuple[int, int]]


def max_out(logits: Tensor) -> Tensor:
    """Reduce n background channels and one face channel to two: (B, n + 1, H, W) to (B, 2, H, W).

    Paper, section 3.3: the finest layer holds three quarters of all anchors, most of the false alarms come
    from it, and a background that may choose among several guesses rejects more of them.
    """
    if logits.shape[1] == 2:
        return logits
    background, face = logits[:, :-1], logits[:, -1:]
    return torch.cat([background.amax(dim=1, keepdim=True), face], dim=1)


class DetectionHeads(nn.Module):
    """Class and box convolutions on each map; the first class head has `backgrounds` background channels."""

    def __init__(self, channels: Sequence[int], backgrounds: int = 3) -> None:
        """Build heads for maps of `channels`; `backgrounds` = 1 is a plain two-class head everywhere."""
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

    def forward(self, maps: Sequence[Tensor]) -> Predictions:
        """Predict from six maps (B, C, H, W), finest first."""
        logits = [max_out(conf(m)) for conf, m in zip(self.conf, maps, strict=True)]
        deltas = [loc(m) for loc, m in zip(self.loc, maps, strict=True)]
        return Predictions(
            torch.cat([_by_anchor(x) for x in logits], dim=1),
            torch.cat([_by_anchor(x) for x in deltas], dim=1),
            [(m.shape[-2], m.shape[-1]) for m in maps],
        )


def _by_anchor(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H·W, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
