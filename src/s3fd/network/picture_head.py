"""A classifier of whole pictures: one prediction, from the mean of a detection layer's feature map."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from s3fd.network.attributes import Attribute
from s3fd.network.layer_logits import LayerLogits


class PictureHead(nn.Module):
    """Head for the logits of an attribute of the whole picture, repeated at every anchor.

    This is how the published exercise identifies the person in a picture: the last map, pooled, and a linear
    layer. It cannot distinguish two faces in one picture, and the background influences it as much as the
    face.
    """

    def __init__(self, attribute: Attribute, channels: Sequence[int]) -> None:
        """Build an untrained head on one map; raises ValueError unless `attribute` names one layer."""
        super().__init__()
        if len(attribute.layers) != 1:
            raise ValueError(f"{attribute.name}: a picture head reads one layer, not {attribute.layers}")
        (self.layer,) = attribute.layers
        self.linear = nn.Linear(channels[self.layer], len(attribute.classes))

    def forward(self, maps: Sequence[Tensor]) -> LayerLogits:
        """Map six maps (B, C, H, W), finest first, to the picture's logits, on every cell of the layer."""
        features = maps[self.layer]
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        everywhere = logits[:, :, None, None].expand(-1, -1, *features.shape[-2:])
        return LayerLogits({self.layer: everywhere}, [(m.shape[-2], m.shape[-1]) for m in maps])
