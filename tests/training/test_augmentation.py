import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fd import boxes as box_ops
from s3fd.inference.resize import FILL_BGR
from s3fd.training.augmentation import (
    MIN_FACE,
    Augmentation,
    Labelled,
    Window,
    anchor_window,
    cut,
    distort,
    flip,
    mosaic,
    paper_window,
    tilt,
)
from s3fd.training.config import AugmentationConfig

GREEN = (0, 255, 0)
seeds = st.integers(0, 10_000)


def scene(width: int = 200, height: int = 150, *boxes: tuple[int, int, int, int]) -> Labelled:
    """A black picture whose faces are green rectangles, so that boxes can be checked against pixels."""
    picture = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        picture[y1:y2, x1:x2] = GREEN
    return Labelled(picture, np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), bool))


def green_extent(picture: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(picture[:, :, 1].astype(int) - picture[:, :, 0] > 128)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@given(seeds, st.sampled_from([(160, 160), (60, 110), (107, 320)]))
@settings(max_examples=60, deadline=None)
def test_boxes_stay_on_their_faces(seed: int, output: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    item = scene(200, 150, (80, 40, 120, 90))
    for window in (anchor_window(item, output, rng), paper_window(item, output[0] / output[1], rng)):
        result = cut(item, window, output)
        assert result.picture.shape == (output[1], output[0], 3)
        if len(result.boxes):
            np.testing.assert_allclose(
                result.boxes[0], green_extent(result.picture), atol=1.01
            )  # a pixel blurs over an edge


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_anchor_window_shows_the_face_at_a_sampled_size(seed: int) -> None:
    item = scene(400, 300, (180, 120, 220, 170))
    result = cut(item, anchor_window(item, (160, 160), np.random.default_rng(seed)), (160, 160))
    (size,) = np.sqrt(box_ops.area(result.boxes))
    assert MIN_FACE - 1 <= size <= 161


def test_anchor_window_meets_every_octave() -> None:
    item = scene(1000, 1000, (400, 400, 500, 500))
    rng = np.random.default_rng(0)
    sizes = [100 * 320 / anchor_window(item, (320, 320), rng).width for _ in range(2000)]
    octaves = np.histogram(np.log2(sizes), bins=[5, 6, 7, 8])[0]
    assert octaves.min() > 0.8 * octaves.max()


def test_anchor_window_needs_a_face() -> None:
    with pytest.raises(ValueError, match="face"):
        anchor_window(scene(), (64, 64), np.random.default_rng(0))


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_paper_window_is_inside_the_picture(seed: int) -> None:
    window = paper_window(scene(200, 150), 1.0, np.random.default_rng(seed))
    assert window.left >= 0 and window.top >= 0
    assert window.left + window.width <= 200 + 1e-6 and window.top + window.height <= 150 + 1e-6
    assert 0.3 * 150 - 1e-6 <= window.width == window.height <= 150


def test_a_face_whose_centre_is_cut_off_goes() -> None:
    item = scene(100, 100, (0, 0, 40, 40), (60, 60, 90, 90))
    result = cut(item, Window(25, 25, 75, 75), (75, 75))
    np.testing.assert_allclose(result.boxes, [[35, 35, 65, 65]])


def test_outside_is_filled_with_the_mean() -> None:
    result = cut(scene(50, 50), Window(-50, -50, 100, 100), (100, 100))
    assert (result.picture[:50] == FILL_BGR).all()
    assert (result.picture[50:, 50:] == 0).all()


def test_a_face_that_becomes_tiny_is_ignored() -> None:
    result = cut(scene(100, 100, (10, 10, 30, 30)), Window(0, 0, 100, 100), (20, 20))
    assert result.ignored.tolist() == [True]


def test_flip_and_mosaic_move_boxes_with_pixels() -> None:
    left = scene(60, 40, (5, 6, 15, 20))
    mirrored = flip(left)
    np.testing.assert_allclose(mirrored.boxes[0], green_extent(mirrored.picture))
    for row in range(2):
        for column in range(2):
            cells = [[scene(30, 20), scene(50, 20)], [scene(30, 60), scene(50, 60)]]
            h, w = cells[row][column].picture.shape[:2]
            cells[row][column] = scene(w, h, (3, 4, 13, 18))
            joined = mosaic(cells)
            assert joined.picture.shape == (80, 80, 3)
            np.testing.assert_allclose(joined.boxes[0], green_extent(joined.picture))


@given(seeds)
def test_a_box_turns_with_its_face(seed: int) -> None:
    item = scene(400, 300)
    cv2.ellipse(item.picture, (150, 120), (30, 45), 0, 0, 360, GREEN, -1)
    face = np.array([[120, 75, 181, 166]], np.float32)
    turned = tilt(Labelled(item.picture, face, np.zeros(1, bool)), np.random.default_rng(seed))
    assert turned.picture.shape == item.picture.shape
    np.testing.assert_allclose(turned.boxes[0], green_extent(turned.picture), atol=1.5)


@given(seeds)
def test_a_face_that_is_turned_out_of_the_picture_goes(seed: int) -> None:
    item = scene(200, 160, (0, 0, 20, 20), (180, 140, 200, 160), (90, 70, 110, 90))
    turned = tilt(item, np.random.default_rng(seed))
    assert 1 <= len(turned.boxes) == len(turned.ignored)
    assert (turned.boxes >= 0).all() and (turned.boxes[:, 2:] <= (200, 160)).all()


def test_distort_keeps_shape_and_type() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    changed = 0
    for seed in range(30):
        result = distort(picture, np.random.default_rng(seed))
        assert result.shape == picture.shape and result.dtype == np.uint8
        changed += not np.array_equal(result, picture)
    assert 10 < changed < 30


def test_one_seed_gives_one_picture() -> None:
    policy = Augmentation(96, anchor_sampling=0.7, grids=(0.2, 0.4, 0.4), distort=True, tilt=0.3)
    item = scene(200, 150, (20, 20, 60, 60), (120, 50, 180, 110))
    for seed in range(10):
        a, b = (policy(lambda: item, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(a.picture, b.picture)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        assert a.picture.shape == (96, 96, 3)


def test_probabilities_may_be_rounded() -> None:
    """The configuration accepts these, so the augmentation has to."""
    policy = AugmentationConfig(grids=(0.3333333, 0.3333333, 0.3333333))
    item = Labelled(np.zeros((40, 40, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, bool))
    made = Augmentation(64, **policy.model_dump())(lambda: item, np.random.default_rng(0))
    assert made.picture.shape == (64, 64, 3)


def test_a_tiny_face_that_is_turned_can_still_be_enlarged() -> None:
    turned = tilt(scene(200, 160, (90, 70, 95, 75)), np.random.default_rng(0))
    assert not turned.ignored.any()
    whole = Window(0, 0, 200, 160)
    assert cut(turned, whole, (200, 160)).ignored.tolist() == [True]
    assert cut(turned, whole, (400, 320)).ignored.tolist() == [False]
