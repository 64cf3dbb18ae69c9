"""How single faces are shown to a head that learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from s3fd import anchors as anchor_ops
from s3fd.attributes.single import CENTRAL, SIDE, WINDOWS, SingleStream, Window
from s3fd.data.labels import Labels, read
from s3fd.training import cutouts
from s3fd.training.cutouts import CutOut


@pytest.fixture
def boxed(coloured: Path) -> Labels:
    """The coloured pictures with a face in each: one is small, one of nobody knows what, one invalid."""
    rows = ["image,x1,y1,x2,y2,Colour,invalid"]
    rows += [f"{i}.png,10,20,60,70,{('blue', 'red')[i % 2]}," for i in range(13)]
    rows += ["13.png,30,40,50,60,red,", "14.png,10,20,60,70,?,", "15.png,10,20,60,70,red,1"]
    (coloured / "boxes.csv").write_text("\n".join(rows), encoding="utf-8")
    return read(coloured / "boxes.csv", coloured / "pictures", ["Colour"])


def enlarged(labels: Labels) -> Labels:
    """The pictures, and the faces in them, three times as large."""
    items = []
    for item in labels.pictures:
        assert item.boxes is not None
        with Image.open(item.path) as image:
            image.resize((image.width * 3, image.height * 3)).save(item.path)
        items.append(replace(item, boxes=item.boxes * 3))
    return replace(labels, pictures=items)


def stream(labels: Labels, seed: int = 0) -> SingleStream:
    return SingleStream(labels.pictures, "Colour", seed, tilt=0.5, flip=True, distort=False)


def numbers(names: list[str]) -> list[int]:
    return sorted(int(Path(name).stem) for name in names)


def test_anchors_in_the_middle_of_a_face_tell_its_colour(boxed: Labels) -> None:
    seen = set()
    for step, batch in enumerate(stream(enlarged(boxed)).batches(0, 9, 8)):
        window = WINDOWS[step % 3]
        assert batch.pictures.shape == (8 // window.share, 3, window.side, window.side)
        anchors = anchor_ops.anchors(anchor_ops.map_sizes(window.side, window.side))
        middles = (anchors[:, :2] + anchors[:, 2:]) / 2
        for picture, targets in zip(batch.pictures.numpy(), batch.targets.numpy(), strict=True):
            (chosen,) = np.nonzero(targets >= 0)
            (label,) = set(targets[chosen].tolist())
            assert np.ptp(middles[chosen], axis=0).max() <= 2 * CENTRAL * window.faces[1] + 1
            x, y = middles[chosen].mean(axis=0).astype(int)
            assert (int(picture[2, y, x]) > int(picture[0, y, x])) == (label == 1)
            seen.add(label)
    assert seen == {0, 1}


@pytest.mark.parametrize("window", WINDOWS)
def test_the_box_is_where_the_face_is_shown(
    boxed: Labels, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutouts, "blur", lambda pixels, rng: pixels)
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    white = black.copy()
    white[SIDE // 2 - 40 : SIDE // 2 + 40, SIDE // 2 - 40 : SIDE // 2 + 40] = 255
    face, other = (CutOut(cv2.imencode(".png", p)[1].tobytes(), (136, 136)) for p in (white, black))
    misses = []
    for seed in range(60):
        shown, box = stream(boxed)._show(face, other, window, 1e9, np.random.default_rng(seed))
        places = (np.indices(shown.shape[:2])[::-1] + 0.5).reshape(2, -1)
        middle = np.average(places, axis=1, weights=shown[..., 0].ravel())
        misses.append(middle - (box[0, :2] + box[0, 2:]) / 2)
    assert np.abs(misses).max() < 0.25


def test_every_labelled_face_comes_once_an_epoch_and_small_ones_in_small_windows(boxed: Labels) -> None:
    small, large, again, once_more = stream(boxed).batches(0, 4, 14)
    assert numbers(small.names) == list(range(14)) == numbers(again.names)
    assert small.names != again.names
    assert set(numbers(large.names + once_more.names)) == set(range(13))
    assert 20 < WINDOWS[1].source < 50 < WINDOWS[2].source  # nobody here is shown in the largest
    assert {batch.pictures.shape[2] for batch in (large, once_more)} == {WINDOWS[1].side}


def test_any_step_can_be_made_again(boxed: Labels) -> None:
    (first,), (same,), (other,) = (stream(boxed, seed).batches(3, 4, 4) for seed in (0, 0, 1))
    assert torch.equal(first.pictures, same.pictures) and torch.equal(first.targets, same.targets)
    assert not torch.equal(first.pictures, other.pictures)


def test_what_cannot_be_shown_is_left_out_and_named_once(boxed: Labels) -> None:
    boxed.pictures[2].path.write_bytes(b"no picture")
    boxed.pictures[4].boxes[:] += 500
    batches = list(stream(boxed).batches(0, 8, 7))
    assert not {2, 4} & set(numbers([name for batch in batches for name in batch.names]))
    first, second = sorted(why for batch in batches for why in batch.left_out)
    assert first.endswith("2.png: not a picture of a known format")
    assert second.endswith("4.png: no labelled box lies inside the picture")


def test_labels_without_a_face_to_show(boxed: Labels) -> None:
    with pytest.raises(ValueError, match="labels with boxes"):
        stream(replace(boxed, pictures=[replace(boxed.pictures[0], boxes=None)]))
    with pytest.raises(ValueError, match="no face has a label"):
        stream(replace(boxed, pictures=boxed.pictures[14:]))


def test_small_faces_alone_are_shown_in_small_windows_alone(boxed: Labels) -> None:
    only_small = replace(boxed, pictures=boxed.pictures[13:14])
    assert {batch.pictures.shape[2] for batch in stream(only_small).batches(0, 4, 1)} == {WINDOWS[0].side}
    with pytest.raises(ValueError, match="no face has a label"):
        stream(replace(boxed, pictures=boxed.pictures[15:]))
