from pathlib import Path

import numpy as np
import pytest
import torch

from s3fd import anchors as anchor_ops
from s3fd.attributes.composed import ComposedStream
from s3fd.data.labels import Labels, read
from s3fd.training.composition import Composition

POLICY = Composition(size=160, face_sizes=(16, 120), distort=False)


@pytest.fixture
def boxed(coloured: Path) -> Labels:
    """The coloured pictures with a box in each, and one that nobody labelled."""
    rows = ["image,x1,y1,x2,y2,Colour"]
    rows += [f"{i}.png,20,30,50,70,{('blue', 'red')[i % 2]}" for i in range(15)]
    rows.append("15.png,20,30,50,70,?")
    (coloured / "boxes.csv").write_text("\n".join(rows), encoding="utf-8")
    return read(coloured / "boxes.csv", coloured / "pictures", ["Colour"])


def test_anchors_tell_the_colour_under_them(boxed: Labels) -> None:
    stream = ComposedStream(boxed.pictures, "Colour", POLICY, 0)
    anchors = anchor_ops.anchors(anchor_ops.map_sizes(160, 160))
    middle = ((anchors[:, :2] + anchors[:, 2:]) / 2).astype(int).clip(0, 159)
    seen = set()
    for batch in stream.batches(0, 6, 4):
        assert batch.pictures.shape == (4, 3, 160, 160) and batch.pictures.dtype == torch.uint8
        for picture, targets in zip(batch.pictures.numpy(), batch.targets.numpy(), strict=True):
            for anchor in np.flatnonzero(targets >= 0):
                x, y = middle[anchor]
                blue, red = int(picture[0, y, x]), int(picture[2, y, x])
                if abs(blue - red) > 100:  # not at the edge of a face, where it may be something else
                    assert (red > blue) == (targets[anchor] == 1)
                    seen.add(int(targets[anchor]))
    assert seen == {0, 1}


def test_unlabelled_and_unreadable_pictures_are_not_drawn(boxed: Labels) -> None:
    boxed.pictures[2].path.write_bytes(b"no picture")
    stream = ComposedStream(boxed.pictures, "Colour", POLICY, 0)
    boxed.pictures[4].boxes[:] += 500
    batches = list(stream.batches(0, 10, 4))
    names = {name for batch in batches for name in batch.names}
    drawn = {int(Path(name).stem) for name in names}
    assert not {2, 4, 15} & drawn and len(drawn) > 10
    first, second = sorted(why for batch in batches for why in batch.left_out)  # each once
    assert first.endswith("2.png: not a picture of a known format")
    assert second.endswith("4.png: no labelled box lies inside the picture")


def test_the_same_number_is_the_same_picture(boxed: Labels) -> None:
    each = [
        next(iter(ComposedStream(boxed.pictures, "Colour", POLICY, seed).batches(3, 4, 4)))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(each[0].pictures, each[1].pictures) and torch.equal(each[0].targets, each[1].targets)
    assert not torch.equal(each[0].pictures, each[2].pictures)


def test_labels_of_whole_pictures_cannot_be_composed(coloured: Path) -> None:
    labels = read(coloured / "index.csv", coloured / "pictures", ["Colour"])
    with pytest.raises(ValueError, match="boxes"):
        ComposedStream(labels.pictures, "Colour", POLICY, 0)
