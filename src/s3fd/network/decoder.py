"""One graph from decoded picture files to scores and boxes; thresholding and NMS are not part of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s3fd.anchors import ANCHOR_SIZES, STRIDES
from s3fd.boxes import MAX_LOG_SIZE, VARIANCES
from s3fd.network.heads import Predictions
from s3fd.network.s3fd import MEAN_BGR, S3FD


def anchors(map_sizes: list[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the anchors of six maps as `s3fd.anchors.anchors` does: centres x and y, sides; (A,) in pixels.

    This uses tensor operations, so that an exported graph works for any picture size.
    """
    across, down, sides = [], [], []
    for (height, width), stride, size in zip(map_sizes, STRIDES, ANCHOR_SIZES, strict=True):
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
        across.append(x.expand(height, width).reshape(-1))
        down.append(y[:, None].expand(height, width).reshape(-1))
        sides.append(torch.full_like(across[-1], size))
    return torch.cat(across), torch.cat(down), torch.cat(sides)


def decode(predictions: Predictions) -> tuple[Tensor, Tensor]:
    """Return face probabilities (B, A) in 0–1 and boxes (B, A, 4), xyxy in pixels of the network's input.

    Coordinates are computed separately: rows of A numbers take a fraction of the time of A rows of 4.
    """
    background, face = predictions.logits.float().transpose(1, 2).unbind(1)
    dx, dy, dw, dh = predictions.deltas.float().transpose(1, 2).unbind(1)
    x, y, side = anchors(predictions.map_sizes, face.device)
    scores = torch.sigmoid(face - background)  # softmax of two classes
    reach = side * VARIANCES[0]
    x, y = x + dx * reach, y + dy * reach
    half = side / 2
    width, height = (half * torch.exp((d * VARIANCES[1]).clamp(max=MAX_LOG_SIZE)) for d in (dw, dh))
    return scores, torch.stack([x - width, y - height, x + width, y + height], dim=1).transpose(1, 2)


class PictureNetwork(nn.Module):
    """S³FD with its pre-processing and box decoding: the graph that runtimes execute."""

    def __init__(self, network: S3FD) -> None:
        """Wrap `network`, which is used in evaluation mode."""
        super().__init__()
        self.network: S3FD = network.eval()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN_BGR)[:, None, None], persistent=False)

    def forward(
        self, pictures: Tensor, attributes: Sequence[str] | None = None, embedding: bool = True
    ) -> tuple[Tensor, ...]:
        """Map uint8 BGR pictures (B, H, W, 3) to scores (B, A) and boxes (B, A, 4), see `decode`.

        They are followed by the probabilities (B, A, classes) of each requested attribute, in the network's
        order, and by the vectors (B, cells, dimension) of the network's embedding, if it has one and
        `embedding` is true: see `S3FD`.
        """
        x = pictures.permute(0, 3, 1, 2).float() - self.mean
        predictions = self.network(x, attributes, embedding)
        outputs = (*decode(predictions), *self.probabilities(predictions))
        return outputs if predictions.embedding is None else (*outputs, predictions.embedding.float())

    def probabilities(self, predictions: Predictions) -> list[Tensor]:
        """Return the calibrated probabilities (B, A, classes) in 0–1 of each predicted attribute."""
        return [
            predictions.attributes[attribute.name].probabilities(attribute.temperature)
            for attribute in self.network.attributes
            if attribute.name in predictions.attributes
        ]
