from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.inference import draw, pictures

COLOUR = np.array(draw.COLOUR)


def faces(*boxes: list[float]) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.97, np.float32))


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Where the colour of the boxes is, (H, W) bool."""
    return (pixels == COLOUR).all(axis=2)


def test_the_picture_itself_is_left_alone() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    drawn = draw.draw(pixels, faces([20, 30, 60, 80]))
    assert not pixels.any()
    assert drawn.shape == pixels.shape
    assert drawn.any()


def test_no_faces_change_nothing() -> None:
    pixels = np.full((10, 10, 3), 7, np.uint8)
    np.testing.assert_array_equal(draw.draw(pixels, Faces.empty()), pixels)


def test_a_box_runs_along_the_edges_of_the_face() -> None:
    where = coloured(draw.draw(np.zeros((300, 300, 3), np.uint8), faces([100, 120, 200, 240])))
    assert where[150, [100, 199]].all()
    assert where[239, 150]
    assert not where[130:230, 110:190].any()


def test_lines_grow_with_the_picture() -> None:
    small = coloured(draw.draw(np.zeros((300, 300, 3), np.uint8), faces([100, 100, 200, 200])))
    large = coloured(draw.draw(np.zeros((3000, 3000, 3), np.uint8), faces([1000, 1000, 2000, 2000])))
    assert large[1500].sum() >= 4 * small[150].sum()


@pytest.mark.parametrize(
    "box",
    [
        [-50, -50, 80, 80],
        [0, 0, 80, 80],
        [560, 0, 640, 80],
        [600, 440, 700, 500],
        [0, 0, 640, 480],
        [300, 200, 380, 300],
    ],
)
def test_the_score_is_whole_and_inside(box: list[float]) -> None:
    drawn = draw.draw(np.zeros((480, 640, 3), np.uint8), faces(box))
    # Its plate is the only filled rectangle: look for a run of colour as wide as no line is.
    rows, columns = np.nonzero(cv2.erode(coloured(drawn).astype(np.uint8), np.ones((2, 8))))
    assert len(rows) > 10
    assert np.ptp(columns) > 20


def test_tiny_faces_carry_no_score() -> None:
    drawn = draw.draw(np.zeros((480, 640, 3), np.uint8), faces([100, 100, 106, 108]))
    assert coloured(drawn).sum() < 40


def test_a_caption_wider_than_its_face_is_centred_on_it_where_there_is_room() -> None:
    columns = {
        "gender": np.array(["female", "male"], dtype=object),
        "gender_probability": np.array([0.97, 0.9], np.float32),
    }
    pixels, scores = np.zeros((480, 640, 3), np.uint8), np.ones(2, np.float32)
    apart = np.array([[100, 100, 162, 170], [400, 100, 462, 170]], np.float32)
    drawn = coloured(draw.draw(pixels, Faces(apart, scores, columns)))
    left, right = np.flatnonzero(drawn[:, :300].any(axis=0))[[0, -1]]
    assert left < 100 < 162 < right
    assert abs((left + right + 1) / 2 - 131) <= 1
    crowded = np.array([[100, 100, 115, 170], [120, 100, 135, 170]], np.float32)
    assert not coloured(draw.draw(pixels, Faces(crowded, scores, columns)))[:99].any()


def test_a_label_is_drawn_without_its_accents() -> None:
    """OpenCV's font has no others, and would show two question marks for each."""
    drawn = []
    for label in ("männlich", "mannlich", "m?nnlich"):
        columns = {
            "gender": np.array([label], dtype=object),
            "gender_probability": np.array([0.97], np.float32),
        }
        box = np.array([[100, 100, 300, 340]], np.float32)
        drawn.append(
            draw.draw(np.zeros((480, 640, 3), np.uint8), Faces(box, np.ones(1, np.float32), columns))
        )
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_a_probability_is_left_out_where_only_the_label_fits() -> None:
    columns = {
        "gender": np.array(["female"], dtype=object),
        "gender_probability": np.array([0.97], np.float32),
    }
    widths = []
    for side in (60, 40):
        box = np.array([[300, 100, 300 + side, 170]], np.float32)
        drawn = coloured(
            draw.draw(np.zeros((480, 640, 3), np.uint8), Faces(box, np.ones(1, np.float32), columns))
        )
        above = np.flatnonzero(drawn[:99].any(axis=0))
        assert len(above)
        widths.append(int(np.ptp(above)))
    assert widths[1] < 0.8 * widths[0]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (2, 3, 3)])
def test_tiny_pictures(shape: tuple[int, int, int]) -> None:
    box = [0, 0, shape[1], shape[0]]
    pixels = np.zeros(shape, np.uint8)
    assert draw.draw(pixels, faces(box)).shape == shape
    assert draw.crop(pixels, faces(box))[0].size > 0


def test_cut_outs_have_a_margin_that_ends_with_the_picture() -> None:
    pixels = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    inside, corner = draw.crop(pixels, faces([40, 40, 80, 60], [180, 80, 200, 100]), margin=0.25)
    np.testing.assert_array_equal(inside, pixels[35:65, 30:90])
    np.testing.assert_array_equal(corner, pixels[75:100, 175:200])
    assert draw.crop(pixels, Faces.empty()) == []


def test_a_cut_out_is_never_empty() -> None:
    (cut,) = draw.crop(np.zeros((10, 10, 3), np.uint8), faces([3, 3, 3, 3]))
    assert cut.shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("a/b.jpg", 100, "a/b.jpg"),
        ("b.JPEG", 100, "b.JPEG"),
        ("b.gif", 100, "b.gif.png"),
        ("b.gif.png", 100, "b.gif.png.png"),
        ("b.2024.png", 100, "b.2024.png"),
        ("b", 100, "b.png.png"),
        ("b.webp", 20_000, "b.webp.png"),
        ("b.jpg", 70_000, "b.jpg.png"),
    ],
)
def test_names_of_copies(name: str, side: int, expected: str) -> None:
    assert draw.copy_name(Path(name), side) == Path(expected)


NAMES = [
    *("a", "a.dat", "a.jpg", "a.png", "a.PNG", "a.JPG", "a.gif", "a_0.jpg", "b/a.jpg", "a.jpeg", "a.jpg.jpg"),
    *("a.png.png", "a.png.png.png", "a.png.jpg", "a.jpg.png", "a.gif.png", "a.gif.PNG", "a.dat.png"),
    *("a.gif.png.png", "a.dat.jpg", "a.png_0.jpg", "a.gif.png_0.jpg"),
]


@pytest.mark.parametrize("side", [100, 70_000])
def test_names_of_copies_never_collide(side: int) -> None:
    copies = [draw.copy_name(Path(name), side) for name in NAMES]
    assert len(set(copies)) == len(copies)


def test_names_of_cut_outs_never_collide() -> None:
    cut_outs = [draw.crop_name(Path(name), i) for name in NAMES for i in range(11)]
    assert draw.crop_name(Path("a.jpg"), 0) == Path("a_0.jpg")
    assert len(set(cut_outs)) == len(cut_outs)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".JPEG"])
def test_saving(tmp_path: Path, suffix: str) -> None:
    pixels = np.full((20, 30, 3), (10, 120, 230), np.uint8)
    path = tmp_path / "new" / "folder" / f"é{suffix}"
    draw.save(pixels, path)
    assert np.abs(pictures.read(path).astype(int) - pixels).max() < 8


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot encode this picture"):
        draw.save(np.zeros((1, 70_000, 3), np.uint8), tmp_path / "a.jpg")


def test_captions_say_what_is_told_of_a_face() -> None:
    boxes = np.array([[0, 0, 9, 9], [9, 9, 20, 20]], np.float32)
    scores = np.array([0.97, 0.8], np.float32)
    assert draw.captions(Faces(boxes, scores)) == [["97%"], ["80%"]]
    columns = {
        "gender": np.array(["female", None], dtype=object),
        "gender_probability": np.array([0.93, 0.5], np.float32),
        "embedding": np.zeros((2, 4), np.float32),
    }
    assert draw.captions(Faces(boxes, scores, columns)) == [["female 93%", "female"], ["?"]]


def test_a_track_is_named_before_what_is_told_and_alone_where_that_does_not_fit() -> None:
    columns = {
        "track": np.array([7]),
        "detected": np.array([True]),
        "gender": np.array(["female"], dtype=object),
        "gender_probability": np.array([0.93], np.float32),
    }
    wide, narrow = (
        Faces(np.array([[100, 100, right, 300]], np.float32), np.ones(1, np.float32), columns)
        for right in (300, 120)
    )
    assert draw.captions(wide) == [["#7 female 93%", "#7 female", "#7"]]
    pixels = np.zeros((480, 640, 3), np.uint8)
    told = {name: columns[name] for name in ("gender", "gender_probability")}
    without = draw.draw(pixels, Faces(narrow.boxes, narrow.scores, told))
    assert coloured(draw.draw(pixels, narrow)).sum() > coloured(without).sum()
