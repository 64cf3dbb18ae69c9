from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from s3fd import boxes as box_ops
from s3fd.data.sample import Sample, picture_size
from s3fd.inference.pictures import read
from s3fd.training.augmentation import Augmentation
from s3fd.training.config import MatchingConfig
from s3fd.training.dataset import StepSampler, TrainingStream, collate, load, normalise

BOX = (30.0, 20.0, 70.0, 60.0)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), np.full((100, 100, 3), 20 * i, np.uint8))
        found.append(Sample(path, np.array([BOX], np.float32), np.zeros(1, bool)))
    return found


def stream(samples: list[Sample], seed: int = 0, cache: bool = False) -> TrainingStream:
    policy = Augmentation(64, anchor_sampling=1.0, grids=(0.5, 0.5), distort=True)
    return TrainingStream(samples, policy, MatchingConfig(), seed, cache)


def test_entry_n_depends_on_seed_and_n_alone(samples: list[Sample]) -> None:
    one, other = stream(samples), stream(samples, cache=True)
    for n in (7, 0, 7, 12):
        a, b = one[n], other[n]
        assert a.names == b.names
        assert torch.equal(a.picture, b.picture) and torch.equal(a.deltas, b.deltas)
    assert any(not torch.equal(stream(samples, seed=1)[n].picture, one[n].picture) for n in range(3))


def test_every_epoch_meets_every_picture_first_once(samples: list[Sample]) -> None:
    data = stream(samples)
    for epoch in range(3):
        first = {data[epoch * 5 + k].names[0] for k in range(5)}
        assert first == {str(s.path) for s in samples}


def test_deltas_decode_to_the_face(samples: list[Sample]) -> None:
    data = stream(samples)
    example = data[0]
    face = (example.labels == 1).numpy()
    assert face.any()
    boxes = box_ops.decode(example.deltas.numpy()[face], data.targets.anchors[face])
    assert (boxes >= -0.01).all() and (boxes <= 64.01).all()
    assert (example.deltas.numpy()[~face] == 0).all()


@pytest.mark.parametrize("method", ["compensation", "aligned"])
def test_layers_before_the_first_are_not_trained(samples: list[Sample], method: str) -> None:
    policy = Augmentation(64, anchor_sampling=1.0, grids=(1.0,), distort=False)
    config = MatchingConfig(method=method, first_layer=1)  # type: ignore[arg-type]
    data = TrainingStream(samples, policy, config, 0)
    for n in range(8):
        example = data[n]
        assert (example.labels[:256] == -1).all() and (example.labels[256:] >= 0).all()
        face = (example.labels == 1).numpy()
        rows = example.candidates.anchors.numpy()
        assert face.any() if method == "compensation" else (rows[rows >= 0] >= 256).any()
        assert (rows[rows >= 0] >= 256).all()
        boxes = box_ops.decode(example.deltas.numpy()[face], data.targets.anchors[face])
        coded = example.candidates.deltas.numpy()[rows >= 0]
        boxes = np.concatenate([boxes, box_ops.decode(coded, data.targets.anchors[rows[rows >= 0]])])
        assert len(np.unique(boxes.round(), axis=0)) == 1  # they all are the one face


def test_batches_and_their_numbers(samples: list[Sample]) -> None:
    assert list(StepSampler(2, 4, 3)) == [[6, 7, 8], [9, 10, 11]]
    data = stream(samples)
    batch = collate([data[0], data[1]])
    assert batch.pictures.shape == (2, 3, 64, 64)
    assert set(batch.names) == {*data[0].names, *data[1].names}


def test_normalise_subtracts_the_mean() -> None:
    picture = torch.tensor([104, 117, 123], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert normalise(picture).abs().max() == 0


def test_a_cached_picture_has_the_boxes_of_each_of_its_samples(samples: list[Sample]) -> None:
    path = samples[0].path
    boxes = [np.array([[2, 2, 20, 20]], np.float32), np.array([[30, 30, 60, 60]], np.float32)]
    both = [Sample(path, each, np.zeros(1, bool)) for each in boxes]
    policy = Augmentation(64, anchor_sampling=0, grids=(1.0,), distort=False)
    plain, cached = (TrainingStream(both, policy, MatchingConfig(), 0, cache) for cache in (False, True))
    for n in range(6):
        torch.testing.assert_close(plain[n].deltas, cached[n].deltas)


def test_in_place_of_an_unreadable_picture_another_is_taken(samples: list[Sample]) -> None:
    whole = stream(samples)
    before = [whole[n] for n in range(5)]
    assert isinstance(samples[0].path, Path)
    samples[0].path.unlink()
    damaged = stream(samples)
    after = [damaged[n] for n in range(5)]
    hit = [n for n, example in enumerate(after) if example.left_out]
    assert hit and len(hit) < 5
    for n, (one, other) in enumerate(zip(before, after, strict=True)):
        if n in hit:
            assert all(reason.startswith(f"{samples[0].path}: ") for reason in other.left_out)
            assert str(samples[0].path) not in other.names
            again = damaged[n]
            assert again.names == other.names and torch.equal(again.picture, other.picture)
        else:
            assert torch.equal(one.picture, other.picture)


def test_many_unreadable_pictures_in_a_row_end_a_run(samples: list[Sample]) -> None:
    for sample in samples:
        assert isinstance(sample.path, Path)
        sample.path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"100 pictures in a row cannot be read; the last: .*\d\.png"):
        stream(samples)[0]


def test_transparent_pixels_are_shown_as_detection_shows_them(tmp_path: Path) -> None:
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[:, 20:] = 9, 99, 199, 255
    path = tmp_path / "half.png"
    Image.fromarray(pixels).save(path)
    shown = load(Sample(path, np.zeros((0, 4), np.float32), np.zeros(0, bool))).picture
    np.testing.assert_array_equal(shown, read(path))
    assert (shown[:, :20] == 255).all()


def test_jpeg_pixels_are_those_of_detection(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((121, 91))
    exif = Image.Exif()
    exif[0x0112] = 8
    for name, one, options in (
        ("colour.jpg", picture, {}),
        ("grey.jpg", picture.convert("L"), {}),
        ("turned.jpg", picture, {"exif": exif}),
        ("progressive.jpg", picture, {"progressive": True, "subsampling": 0}),
    ):
        one.save(tmp_path / name, **options)
        shown = load(Sample(tmp_path / name, np.zeros((0, 4), np.float32), np.zeros(0, bool))).picture
        np.testing.assert_array_equal(shown, read(tmp_path / name), err_msg=name)


@pytest.mark.parametrize("kind", ["exif", "exif, wide", "xmp"])
def test_a_jpeg_picture_is_turned_as_its_size_was_read(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(path)
    number = b"\0\3\0\0\0\1\0\6\0\0" if kind == "exif" else b"\0\4\0\0\0\1\0\0\0\6"
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12" + number + bytes(4)
    if kind == "xmp":
        block = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block + data[2:])
    shown = load(Sample(path, np.zeros((0, 4), np.float32), np.zeros(0, bool))).picture
    assert picture_size(path) == (40, 60) == shown.shape[1::-1]
    np.testing.assert_array_equal(shown, read(path))


def test_a_picture_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    turned = load(Sample(tmp_path / "turned.png", np.zeros((0, 4), np.float32), np.zeros(0, bool)))
    np.testing.assert_array_equal(turned.picture, np.rot90(pixels[..., ::-1], -1))


def test_no_pictures_is_an_error() -> None:
    with pytest.raises(ValueError, match="no picture"):
        stream([])
