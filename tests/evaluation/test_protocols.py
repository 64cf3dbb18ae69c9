from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.evaluation import protocols
from s3fd.evaluation.protocols import MAX_PIXELS, PAPER_MAX_PIXELS, PROTOCOLS, Pass
from s3fd.faces import Faces
from s3fd.inference.runtime import AnchorOutputs

SIDES = st.integers(1, 6000)


class Blobs:
    """A network that finds bright rectangles on black, if alone in their picture, and notes its input."""

    def __init__(self, score: float = 0.9) -> None:
        self.score = score
        self.shapes: list[tuple[int, ...]] = []

    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> AnchorOutputs:
        assert pictures.dtype == np.uint8 and pictures.flags.c_contiguous and pictures.shape[0] == 1
        self.shapes.append(pictures.shape[1:3])
        y, x = np.nonzero(pictures[0, :, :, 0] > 127)
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 0, 0]
        score = self.score if len(x) else 0.0
        return AnchorOutputs(
            np.array([[score, 0.001]], np.float32), np.array([[box, [0, 0, 9, 9]]], np.float32), {}
        )


class Fixed:
    """A network that finds the same boxes in every picture."""

    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def __init__(self, *boxes: tuple[int, int, int, int]) -> None:
        self.boxes = np.array([boxes], np.float32)

    def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> AnchorOutputs:
        scores = np.linspace(0.9, 0.5, self.boxes.shape[1], dtype=np.float32)
        return AnchorOutputs(scores[None], self.boxes, {})


def picture_with(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """A black picture with a white rectangle xyxy."""
    picture = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    picture[y1:y2, x1:x2] = 255
    return picture


@pytest.mark.parametrize("name", ["vga", "single", "auto", "multiscale", "paper"])
@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((800, 600), (40, 60, 100, 140)),  # under 100 pixels
        ((800, 600), (300, 100, 600, 420)),
        ((1024, 1400), (10, 1200, 50, 1260)),
        ((200, 160), (20, 20, 60, 70)),
        ((2400, 1800), (200, 300, 900, 1200)),
    ],
)
def test_a_face_is_found_once_and_where_it_is(
    name: str, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    faces = PROTOCOLS[name](Blobs(), picture_with(*size, box))
    assert len(faces) == 1
    np.testing.assert_allclose(faces.boxes[0], box, atol=3)
    assert faces.scores[0] == pytest.approx(0.9)


@pytest.mark.parametrize("box", [(40, 60, 100, 140), (300, 100, 600, 420)])
def test_mirrored_enlarged_and_shrunk_passes_agree_to_the_pixel(box: tuple[int, int, int, int]) -> None:
    faces = protocols.multiscale(Blobs(), picture_with(800, 600, box))  # all of it divides by two
    np.testing.assert_allclose(faces.boxes, [box], atol=0.01)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_picture_without_faces(name: str) -> None:
    faces = PROTOCOLS[name](Blobs(), np.zeros((90, 120, 3), np.uint8))
    assert isinstance(faces, Faces) and len(faces) == 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_picture_of_one_pixel(name: str) -> None:
    PROTOCOLS[name](Blobs(), np.full((1, 1, 3), 255, np.uint8))


@pytest.mark.parametrize(
    ("name", "found"), [("vga", True), ("single", True), ("multiscale", True), ("paper", False)]
)
def test_the_paper_takes_surer_faces_only(name: str, found: bool) -> None:
    faces = PROTOCOLS[name](Blobs(score=0.04), picture_with(400, 300, (100, 100, 150, 160)))
    assert (len(faces) == 1) == found


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("vga", [(480, 640)]),
        ("single", [(300, 400)]),
        ("multiscale", [(300, 400), (300, 400), (150, 200), (150, 200), (600, 800), (600, 800)]),
        # 3.72 megapixels are 5.57 times the size.
        ("paper", [(300, 400), (300, 400), (150, 200), (600, 800), (1200, 1600), (1670, 2227)]),
    ],
)
def test_what_the_network_sees(name: str, shapes: list[tuple[int, int]]) -> None:
    network = Blobs()
    PROTOCOLS[name](network, np.zeros((300, 400, 3), np.uint8))
    assert network.shapes == shapes


def test_a_face_that_one_pass_sees_alone_is_dropped_by_the_paper_only() -> None:
    class FirstOnly(Blobs):
        def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> AnchorOutputs:
            found = super().__call__(pictures)
            return found._replace(scores=found.scores * (len(self.shapes) == 1))

    picture = picture_with(400, 300, (100, 100, 150, 160))
    assert len(protocols.multiscale(FirstOnly(), picture)) == 1
    assert len(protocols.paper(FirstOnly(), picture)) == 0


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (Pass(1.0, over=100), True),
        (Pass(1.0, under=100), True),
        (Pass(1.0, over=120), False),
        (Pass(1.0, under=80), False),
    ],
)
def test_the_longer_side_counts_for_over_and_the_shorter_for_under(one: Pass, found: bool) -> None:
    picture = picture_with(400, 300, (100, 100, 180, 220))
    assert len(protocols._run(Blobs(), picture, one, 0.02)) == found


def test_boxes_of_a_pass_end_at_the_edges_and_hardly_overlap() -> None:
    first, beyond, quarter = (10, 10, 110, 110), (-20, 200, 60, 250), (10, 10, 110, 35)
    network = Fixed(first, (10, 10, 110, 50), beyond, (500, 20, 600, 90), quarter)
    faces = protocols._run(network, np.zeros((300, 400, 3), np.uint8), Pass(1.0), 0.02)
    assert faces.boxes.tolist() == [[10, 10, 110, 110], [0, 200, 60, 250], [10, 10, 110, 35]]


def test_there_is_a_limit_to_the_faces_of_all_passes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    assert len(protocols.multiscale(Fixed((10, 10, 60, 60)), picture)) > 1
    monkeypatch.setattr(protocols, "AFTER_NMS", 1)
    assert len(protocols.multiscale(Fixed((10, 10, 60, 60)), picture)) == 1


@given(SIDES, SIDES)
def test_passes_stay_under_their_limit(width: int, height: int) -> None:
    for passes, limit in (
        (protocols.multiscale_passes(width, height), MAX_PIXELS),
        (protocols.paper_passes(width, height), PAPER_MAX_PIXELS),
    ):
        assert all(one.scale > 0 and one.scale**2 * width * height <= limit * 1.0001 for one in passes)
        assert Pass(min(one.scale for one in passes if not one.over)) in passes
        # Enlarged passes are for small faces, shrunk ones for large faces, the plain one for all.
        for one in passes:
            assert one.scale <= 1 or one.under == protocols.MIDDLE
        assert {one.flipped for one in passes} == {False, True}


ALL, LARGE, MIDDLE, SMALL = (0, np.inf), (30, np.inf), (100, np.inf), (0, 100)


def assert_passes(passes: list[Pass], expected: list[tuple[float, bool, tuple[float, float]]]) -> None:
    rows = [(scale, flipped, *sides) for scale, flipped, sides in expected]
    np.testing.assert_allclose(np.array([astuple(one) for one in passes], float), np.array(rows, float))


def test_passes_of_multiscale_by_hand() -> None:
    scales = [(1, ALL), (0.5, MIDDLE), (2, SMALL)]
    both = [(scale, flipped, sides) for scale, sides in scales for flipped in (False, True)]
    assert_passes(protocols.multiscale_passes(400, 300), both)
    # 2.5 megapixels are half the size.
    scales = [(0.5, ALL), (0.25, MIDDLE)]
    both = [(scale, flipped, sides) for scale, sides in scales for flipped in (False, True)]
    assert_passes(protocols.multiscale_passes(5000, 2000), both)


def test_passes_of_the_paper_by_hand() -> None:
    plain = [(1, False, ALL), (1, True, ALL), (0.5, False, LARGE)]
    enlarged = [(scale, False, SMALL) for scale in (2, 4, 31**0.5)]
    assert_passes(protocols.paper_passes(400, 300), plain + enlarged)
    fits = 0.372**0.5
    shrunk = [(fits / 2, False, LARGE), (fits * 3 / 4, False, LARGE)]
    assert_passes(protocols.paper_passes(5000, 2000), [(fits, False, ALL), (fits, True, ALL), *shrunk])
    fits = (3.72 / 4.41) ** 0.5
    shrunk = [(0.5, False, LARGE), ((0.5 + fits) / 2, False, LARGE)]
    assert_passes(protocols.paper_passes(2100, 2100), [(fits, False, ALL), (fits, True, ALL), *shrunk])
