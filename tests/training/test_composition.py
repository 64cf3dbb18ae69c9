from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fd import boxes as box_ops
from s3fd.data.labels import NOT_KNOWN
from s3fd.training import composition, layout
from s3fd.training.augmentation import Labelled
from s3fd.training.composition import Composition, LabelledFaces

GREEN, RED = (0, 255, 0), (0, 0, 255)
seeds = st.integers(0, 10_000)


@pytest.fixture(autouse=True)
def sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces keep their edges, so that boxes can be checked against pixels."""
    monkeypatch.setattr(composition, "DEGRADED", 0.0)


def crop(
    size: tuple[int, int] = (100, 120),
    *faces: tuple[int, int, int, int],
    colours: tuple[tuple[int, int, int], ...] = (GREEN, RED),
) -> LabelledFaces:
    """A black picture whose faces are rectangles; the first is green and of class 0, the second red and 1."""
    faces = faces or ((30, 25, 75, 85),)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for (x1, y1, x2, y2), colour in zip(faces, colours, strict=False):
        picture[y1:y2, x1:x2] = colour
    labels = {"kind": np.arange(len(faces))}
    return LabelledFaces(picture, np.array(faces, np.float32), labels, np.zeros(len(faces), bool))


def black() -> Labelled:
    return Labelled(np.zeros((400, 500, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, bool))


def compose(
    policy: Composition,
    seed: int,
    item: LabelledFaces,
    background: Callable[[], Labelled] | None = black,
) -> LabelledFaces:
    return policy(lambda: item, background, np.random.default_rng(seed))


def face_sizes(result: LabelledFaces) -> np.ndarray:
    return np.sqrt(box_ops.area(result.boxes[~result.ignored]))


def inside(boxes: np.ndarray, margin: float, size: int) -> np.ndarray:
    """Mask of the pixels inside any of the boxes, each made smaller by `margin` on all sides."""
    mask = np.zeros((size, size), bool)
    for x1, y1, x2, y2 in boxes + np.array([margin, margin, -margin, -margin]):
        x, y = np.ogrid[:size, :size][::-1]
        mask |= (x >= x1) & (x + 1 <= x2) & (y >= y1) & (y + 1 <= y2)
    return mask


@given(seeds, st.sampled_from([(100, 120), (601, 433), (47, 31)]))
@settings(max_examples=40, deadline=None)
def test_boxes_stay_on_their_faces(seed: int, size: tuple[int, int]) -> None:
    x, y = size[0] // 3, size[1] // 4
    item = crop(size, (x, y, x + size[0] // 3, y + size[1] // 2))
    result = compose(Composition(distort=False, background=1), seed, item)
    assert result.picture.shape == (320, 320, 3) and result.boxes.dtype == np.float32
    green = result.picture[:, :, 1] > 127
    assert green[inside(result.boxes, 1.01, 320)].all()  # a pixel blurs over an edge
    assert not green[~inside(result.boxes, -2.01, 320)].any()


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_labels_follow_their_faces(seed: int) -> None:
    item = crop((160, 100), (20, 30, 50, 70), (100, 20, 150, 80))
    result = compose(Composition(distort=False, background=1), seed, item)
    for box, label, ignored in zip(result.boxes, result.labels["kind"], result.ignored, strict=True):
        x, y = ((box[:2] + box[2:]) // 2).astype(int)
        assert ignored or (result.picture[y, x] == (GREEN, RED)[label]).all()
        assert not ignored or label == NOT_KNOWN


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_a_face_stays_in_its_cell(seed: int) -> None:
    item = crop((200, 200), (40, 40, 167, 167))
    ramp = np.arange(1, 128, dtype=np.uint8) * 2
    item.picture[40:167, 40:167] = np.dstack(
        [np.full((127, 127), 255, np.uint8), np.tile(ramp, (127, 1)), np.tile(ramp[:, None], 127)]
    )
    result = compose(Composition(face_sizes=(50, 400), distort=False, background=1), seed, item)
    assert not result.ignored.any()
    for box in result.boxes:
        x1, y1, x2, y2 = np.round(box).astype(int)
        face = result.picture[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
        across = np.ptp(face[:, :, 1].astype(int)) / 254 * (x2 - x1) / (x2 - x1 - 2)
        along = np.ptp(face[:, :, 2].astype(int)) / 254 * (y2 - y1) / (y2 - y1 - 2)
        assert across * along > 0.83  # of 0.86, less what reading it from pixels loses


def test_every_octave_is_as_frequent() -> None:
    policy = Composition(distort=False, background=0)
    item = crop((200, 200), (50, 50, 150, 150))
    met = np.zeros(4)
    for seed in range(150):
        met += np.histogram(face_sizes(compose(policy, seed, item)), [16, 32, 64, 128, 321])[0] > 0
    assert met.min() > 0.2 * 150 and met.max() < 2.2 * met.min()


@pytest.mark.parametrize(
    ("size", "few", "many"), [(20, 28, 36), (32, 22, 36), (55, 9, 16), (110, 3, 4), (250, 1, 1)]
)
def test_small_faces_share_the_picture(
    size: float, few: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "BLOCK", 0.0)
    policy = Composition(face_sizes=(size, size), distort=False)
    counts = [len(compose(policy, seed, crop()).boxes) for seed in range(15)]
    assert few <= np.mean(counts) and max(counts) <= many


def test_sizes_vary_within_a_picture() -> None:
    spread = [
        np.ptp(np.log2(face_sizes(compose(Composition(), seed, crop((300, 300)))))) for seed in range(30)
    ]
    assert np.mean(np.array(spread) > 0.5) > 0.4


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_crop_is_not_enlarged_beyond_the_limit(seed: int) -> None:
    result = compose(Composition(face_sizes=(60, 400)), seed, crop((30, 30), (7, 7, 20, 21)))
    size = result.boxes[:, 2:] - result.boxes[:, :2]
    assert (size <= (4 * 13 + 0.01, 4 * 14 + 0.01)).all()


@given(seeds, st.sampled_from([(0, 0, 2, 90), (8, 8, 9, 9), (0, 40, 90, 41), (89, 5, 91, 6)]))
@settings(max_examples=30, deadline=None)
def test_a_face_that_is_a_sliver_does_no_harm(seed: int, face: tuple[int, int, int, int]) -> None:
    result = compose(Composition(size=128), seed, crop((91, 91), face))
    assert result.picture.shape == (128, 128, 3)
    assert (box_ops.area(result.boxes) > 0).all()


def test_faces_of_the_background_are_ignored() -> None:
    ground = Labelled(black().picture, np.array([[150, 100, 350, 300]], np.float32), np.zeros(1, bool))
    ground.picture[100:300, 150:350] = RED
    tight = crop((40, 40), (0, 0, 40, 40))
    policy = Composition(face_sizes=(16, 70), distort=False, background=1)
    kept = 0
    for seed in range(40):
        result = compose(policy, seed, tight, lambda: ground)
        under = result.boxes[result.ignored]
        kept += len(under)
        assert (result.labels["kind"][result.ignored] == NOT_KNOWN).all()
        red = result.picture[:, :, 2] > 127
        if len(under):
            assert red[inside(under, 0, 320)].mean() > 0.48  # half of it, less a pixel at its edges
            assert not red[~inside(under, -1.01, 320)].any()
    assert 20 < kept < 40


def test_faces_of_the_background_go_when_they_are_covered() -> None:
    ground = Labelled(black().picture, np.array([[0, 0, 500, 400]], np.float32), np.zeros(1, bool))
    policy = Composition(face_sizes=(300, 400), background=1)
    item = crop((100, 100), (10, 10, 90, 90))
    assert all(len(compose(policy, seed, item, lambda: ground).boxes) == 1 for seed in range(10))


def test_a_face_beside_the_main_one_is_ignored_or_goes_when_it_is_cut_off() -> None:
    item = crop((100, 30), (0, 0, 30, 30), (40, 0, 100, 30))
    item.picture[:, 40:100, 2] = np.arange(60) * 2 + 130  # red from left to right tells how much is visible
    policy = Composition(face_sizes=(150, 320), distort=False, background=1)
    seen = set()
    for seed in range(60):
        result = compose(policy, seed, item)
        red = result.picture[:, :, 2] * (result.picture[:, :, 1] < 20)
        share = np.ptp(red[red >= 130].astype(int)) / 118 if (red >= 130).any() else 0.0
        if (result.labels["kind"] == 0).any() and (~result.ignored).sum() == 1 and len(result.boxes) == 2:
            assert 0.1 < share < 0.55
            seen.add("ignored")
        elif len(result.boxes) == 1 and result.labels["kind"][0] == 0:
            assert share < 0.2
            seen.add("gone")
    assert seen == {"ignored", "gone"}


def test_an_attribute_that_a_crop_lacks_is_unknown() -> None:
    items = [crop(), crop()]
    items[1].labels.clear()
    items[1].labels["mask"] = np.array([2])
    order = iter(range(100))
    policy = Composition(face_sizes=(60, 60))
    result = policy(lambda: items[next(order) % 2], None, np.random.default_rng(0))
    pairs = set(zip(result.labels["kind"].tolist(), result.labels["mask"].tolist(), strict=True))
    assert pairs == {(0, NOT_KNOWN), (NOT_KNOWN, 2)}
    assert all(v.dtype == np.int64 for v in result.labels.values())


def test_one_seed_gives_one_picture_and_leaves_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "DEGRADED", 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    item = LabelledFaces(
        noise.copy(), np.array([[90, 80, 200, 190]], np.float32), {"kind": np.array([1])}, np.zeros(1, bool)
    )
    ground = Labelled(noise.copy(), np.array([[10, 10, 90, 90]], np.float32), np.zeros(1, bool))
    for seed in range(8):
        a, b = (compose(Composition(tilt=0.5, hide=0.5), seed, item, lambda: ground) for _ in range(2))
        np.testing.assert_array_equal(a.picture, b.picture)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.labels["kind"], b.labels["kind"])
    np.testing.assert_array_equal(item.picture, noise)
    np.testing.assert_array_equal(ground.picture, noise)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_a_box_turns_with_the_face_of_its_crop(seed: int) -> None:
    item = crop((200, 160), (80, 60, 121, 111))
    item.picture[:] = 0
    cv2.ellipse(item.picture, (100, 85), (20, 25), 0, 0, 360, GREEN, -1)
    policy = Composition(size=160, face_sizes=(40, 50), distort=False, background=1, tilt=1)
    result = compose(policy, seed, item)
    green = result.picture[:, :, 1] > 127
    assert not green[~inside(result.boxes, -2.01, 160)].any()
    for x1, y1, x2, y2 in result.boxes:
        middle = result.picture[int((y1 + y2) / 2), int((x1 + x2) / 2)]
        assert middle[1] > 127
        assert (x2 - x1) / (y2 - y1) == pytest.approx(0.8, abs=0.25)


def test_a_face_that_would_leave_its_crop_is_not_turned() -> None:
    item = crop((400, 20), (0, 5, 12, 18))
    turned = composition._tilt(item, 20)
    assert turned is item
    assert not np.array_equal(composition._tilt(crop(), 20).picture, crop().picture)


@pytest.mark.parametrize("share", [0, 1])
def test_a_part_of_a_face_is_hidden(share: float) -> None:
    policy = Composition(size=160, face_sizes=(80, 100), distort=False, background=1, hide=share)
    shown = []
    for seed in range(20):
        result = compose(policy, seed, crop())
        within = inside(result.boxes, 1.01, 160)
        shown.append((result.picture[within] == GREEN).all(axis=-1).mean())
    if share:
        assert 0.6 < np.mean(shown) < 0.95 and max(shown) < 0.99
    else:
        assert min(shown) == 1


def test_a_picture_without_a_face_is_refused() -> None:
    item = crop()
    item.ignored[:] = True
    with pytest.raises(ValueError, match="face"):
        compose(Composition(), 0, item)


def test_where_nothing_may_be_mirrored_left_stays_left() -> None:
    item = crop((100, 100), (20, 20, 80, 80))
    item.picture[20:80, 20:50] = RED  # its left half
    policy = Composition(size=128, face_sizes=(60, 100), distort=False, background=1, flip=False)
    for seed in range(20):
        result = compose(policy, seed, item)
        red, green = (np.nonzero(result.picture[:, :, channel] > 128)[1].mean() for channel in (2, 1))
        assert red < green
