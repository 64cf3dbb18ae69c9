"""From pictures as a reader gives them to scores and boxes, in one graph; threshold and NMS stay outside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s3fd.anchors import ANCHOR_SIZES, STRIDES
from s3fd.boxes import MAX_LOG_SIZE, VARIANCES
from s3fd.network.heads import Predictions
from s3fd.network.s3fd import MEAN_BGR, S3FD


def anchors(map_sizes: list[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres (A, 2) and sides (A, 1) in pixels of the anchors of six maps, as `s3fd.anchors.anchors`.

    Written with tensor operations so that an exported graph works for any picture size.
    """
    centres, sides = [], []
    for (height, width), stride, size in zip(map_sizes, STRIDES, ANCHOR_SIZES, strict=True):
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
        grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)
        centres.append(grid.reshape(-1, 2))
        sides.append(torch.full_like(centres[-1][:, :1], size))
    return torch.cat(centres), torch.cat(sides)


def decode(predictions: Predictions) -> tuple[Tensor, Tensor]:
    """Face probabilities (B, A) in 0–1 and boxes (B, A, 4), xyxy in pixels of the network's input."""
    logits, deltas = predictions.logits.float(), predictions.deltas.float()
    centre, side = anchors(predictions.map_sizes, logits.device)
    scores = torch.sigmoid(logits[..., 1] - logits[..., 0])  # softmax of two classes
    middle = centre + deltas[..., :2] * VARIANCES[0] * side
    half = side * torch.exp((deltas[..., 2:] * VARIANCES[1]).clamp(max=MAX_LOG_SIZE)) / 2
    return scores, torch.cat([middle - half, middle + half], dim=-1)


class PictureNetwork(nn.Module):
    """S³FD with its pre-processing and box decoding: the graph that runtimes execute."""

    def __init__(self, network: S3FD) -> None:
        """Wrap `network`, which is used in evaluation mode."""
        super().__init__()
        self.network = network.eval()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN_BGR)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 BGR pictures (B, H, W, 3) to scores (B, A) and boxes (B, A, 4), see `decode`."""
        x = pictures.permute(0, 3, 1, 2).float() - self.mean
        return decode(self.network(x))
