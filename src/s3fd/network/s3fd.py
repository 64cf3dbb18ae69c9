"""S³FD: a backbone with six feature maps and the detection heads on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from torch import Tensor, nn

from s3fd.network.attributes import Attribute, AttributeHead
from s3fd.network.branch import AttributeBranch
from s3fd.network.embedding import Embedding, EmbeddingTrunk, flatten
from s3fd.network.heads import DetectionHeads, Predictions
from s3fd.network.picture_head import PictureHead
from s3fd.network.slim import Slim
from s3fd.network.vgg16 import VGG16

MEAN_BGR = (104.0, 117.0, 123.0)
"""Mean colour subtracted from every picture: VGG's training mean, as in the public weights."""


class Backbone(Protocol):
    """What S³FD requires of a backbone: six maps at strides 4, 8, 16, 32, 64 and 128."""

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each map."""
        ...

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W) to six maps, finest first."""
        ...


Head = AttributeHead | AttributeBranch | PictureHead


class S3FD(nn.Module):
    """The Single Shot Scale-invariant Face Detector (Zhang et al., ICCV 2017), fully convolutional.

    Attribute heads can be added to it; they use the same backbone, so that one pass predicts everything.
    """

    def __init__(
        self, backbone: Backbone, backgrounds: int = 3, attributes: Sequence[Attribute] = ()
    ) -> None:
        """Put heads on `backbone`; `backgrounds` is the number of max-out background labels."""
        super().__init__()
        self.backbone = backbone
        self.heads = DetectionHeads(backbone.out_channels, backgrounds)
        self.attributes: tuple[Attribute, ...] = ()
        self.attribute_heads = nn.ModuleDict()
        self.embedding: Embedding | None = None
        self.embedding_trunk: EmbeddingTrunk | None = None
        for attribute in attributes:
            self.add(attribute)

    def add(self, attribute: Attribute) -> Head:
        """Add an untrained head for `attribute`, replacing one of the same name, and return it.

        Raises:
            ValueError: the backbone does not support branches, or the attribute's layers do not fit.
        """
        head: Head
        if attribute.kind == "branch":
            if not isinstance(self.backbone, Slim):
                raise ValueError("a branch needs the backbone slim (heads of kind layers and picture do not)")
            head = AttributeBranch(attribute, self.backbone.stage_channels)
        elif attribute.kind == "picture":
            head = PictureHead(attribute, self.backbone.out_channels)
        else:
            head = AttributeHead(attribute, self.backbone.out_channels)
        self.attributes = (*(a for a in self.attributes if a.name != attribute.name), attribute)
        self.attribute_heads[attribute.name] = head
        return head

    def embed(self, embedding: Embedding) -> EmbeddingTrunk:
        """Add an untrained embedding, replacing any existing one, and return its trunk.

        Raises:
            ValueError: the backbone does not support embeddings.
        """
        if not isinstance(self.backbone, Slim):
            raise ValueError("an embedding needs the backbone slim")
        self.embedding = embedding
        self.embedding_trunk = EmbeddingTrunk(embedding, self.backbone)
        return self.embedding_trunk

    def calibrate(self, name: str, temperature: float) -> None:
        """Divide the logits of the attribute `name` by `temperature` from now on."""
        self.attributes = tuple(
            replace(a, temperature=temperature) if a.name == name else a for a in self.attributes
        )

    def forward(
        self, x: Tensor, attributes: Sequence[str] | None = None, embedding: bool = True
    ) -> Predictions:
        """Predict from pictures (B, 3, H, W): BGR, 0–255, minus `MEAN_BGR`; any height and width.

        This computes the attributes named in `attributes`, or all of them if it is None, and the vectors of
        the network's embedding, if it has one, unless `embedding` is false.
        """
        stages: list[Tensor] = []
        if isinstance(self.backbone, Slim):
            stages = self.backbone.bottom_up(x)
            maps = self.backbone.top_down(stages)
        else:
            maps = self.backbone(x)
        predictions: Predictions = self.heads(maps)
        answers = {}
        for name, head in self.attribute_heads.items():
            if attributes is None or name in attributes:
                answers[name] = head(stages if isinstance(head, AttributeBranch) else maps)
        if embedding and self.embedding_trunk is not None:
            vectors = self.embedding_trunk(x)
            predictions = predictions._replace(embedding=flatten(vectors))
        return predictions._replace(attributes=answers) if answers else predictions


def build(backbone: str, backgrounds: int = 3, attributes: Sequence[Attribute] = ()) -> S3FD:
    """Build an untrained network by the name of its backbone: ``slim``, ``vgg16`` or one of its two variants.

    ``vgg16_bn`` uses batch normalisation during training, and `VGG16.fold` turns it into a ``vgg16``.
    ``vgg16_public`` is the layout of the public weights, whose fc6 has a padding of 3.

    Raises:
        ValueError: the name is unknown.
    """
    if backbone == "slim":
        return S3FD(Slim(), backgrounds, attributes)
    if backbone == "vgg16":
        return S3FD(VGG16(), backgrounds, attributes)
    if backbone == "vgg16_bn":
        return S3FD(VGG16(batch_norm=True), backgrounds, attributes)
    if backbone == "vgg16_public":
        return S3FD(VGG16(fc6_padding=3), backgrounds, attributes)
    raise ValueError(f"unknown backbone {backbone!r}: choose slim, vgg16, vgg16_bn or vgg16_public")
