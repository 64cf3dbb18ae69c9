from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from square_finder import SquareFinder

import s3fd
from s3fd import boxes as box_ops
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Picture, PictureError
from s3fd.inference.resize import Size

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def detector(tiny: Path) -> Detector:
    return s3fd.load(tiny, threads=1, size="original", min_score=0.9)


def square(width: int, height: int, x: int, y: int, side: int) -> np.ndarray:
    """A black picture (height, width, 3) with a white square."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y : y + side, x : x + side] = 255
    return pixels


def test_an_array_a_pillow_picture_and_a_file_give_the_same(detector: Detector, tmp_path: Path) -> None:
    pixels = square(64, 48, 32, 16, 16)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for picture in (pixels, Image.fromarray(pixels), path, str(path)):
        faces = detector(picture)
        assert faces.boxes.tolist() == [[32, 16, 48, 32]]
        assert faces.scores.tolist() == [1.0]


@pytest.mark.parametrize(
    ("width", "height", "side", "size"),
    [(320, 240, 8, "vga"), (1280, 960, 32, "vga"), (6400, 4800, 160, "vga"), (320, 240, 32, 160)],
)
def test_boxes_are_in_pixels_of_the_full_picture(
    detector: Detector, tmp_path: Path, width: int, height: int, side: int, size: s3fd.inference.resize.Size
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(square(width, height, 3 * side, 2 * side, side)).save(path, quality=95)
    faces = detector(path, size=size)
    np.testing.assert_allclose(faces.boxes, [[3 * side, 2 * side, 4 * side, 3 * side]], rtol=1e-5)


@pytest.mark.parametrize("size", [0, "huge", "640"])
def test_a_wrong_size_is_no_fault_of_the_picture(detector: Detector, tmp_path: Path, size: Size) -> None:
    Image.fromarray(square(8, 8, 0, 0, 4)).save(tmp_path / "a.png")
    for ask in (
        lambda: detector(tmp_path / "a.png", size=size),
        lambda: detector(Image.open(tmp_path / "a.png"), size=size),
        lambda: list(detector.many([tmp_path / "a.png"], size=size)),
        lambda: replace(detector, size=size),
    ):
        with pytest.raises(ValueError, match="invalid size") as raised:
            ask()
        assert not isinstance(raised.value, PictureError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_score": 80},
        {"iou": -0.1},
        {"min_probability": float("nan")},
        {"before_nms": 0},
        {"after_nms": 0},
    ],
)
def test_an_option_out_of_its_range_is_refused(detector: Detector, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(detector, **wrong)


@pytest.mark.parametrize("wrong", [80, -0.1, float("nan")])
def test_a_score_out_of_its_range_is_refused_in_a_call_too(detector: Detector, wrong: float) -> None:
    pixels = square(64, 48, 32, 16, 16)
    with pytest.raises(ValueError, match="min_score"):
        detector(pixels, min_score=wrong)
    with pytest.raises(ValueError, match="min_score"):
        list(detector.many([pixels], min_score=wrong))


def test_a_single_name_in_the_place_of_attributes_is_told_what_is_wanted(detector: Detector) -> None:
    with pytest.raises(ValueError, match=r"a tuple of names, such as \('gender',\)"):
        replace(detector, attributes="gender")


def test_boxes_end_at_the_edges_of_the_picture(detector: Detector) -> None:
    faces = detector(np.full((40, 40, 3), 255, np.uint8))
    assert faces.boxes.max() == 40
    assert len(faces) == 9


def test_a_call_can_have_its_own_size_and_score(detector: Detector) -> None:
    pixels = square(64, 48, 32, 16, 16) // 2
    assert len(detector(pixels)) == 0
    assert len(detector(pixels, min_score=0.4)) == 1
    assert len(detector(square(32, 32, 16, 16, 8), size=64)) == 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 50), (50, 20_000), (2, 3000)])
@pytest.mark.parametrize("size", ["vga", "original", 100])
def test_odd_shapes(detector: Detector, width: int, height: int, size: s3fd.inference.resize.Size) -> None:
    faces = detector(np.full((height, width, 3), 255, np.uint8), size=size)
    assert np.isfinite(faces.boxes).all()
    assert (faces.boxes <= [width, height, width, height]).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(detector: Detector, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture array must be"):
        detector(picture)


def test_other_things_are_refused(detector: Detector) -> None:
    with pytest.raises(TypeError):
        detector(3)  # type: ignore[arg-type]
    with pytest.raises(PictureError):
        detector("missing.jpg")
    with pytest.raises(TypeError):
        Detector(detector.runtime, nonsense=1)  # type: ignore[call-arg]


def test_load_has_the_detectors_own_defaults() -> None:
    taken = inspect.signature(s3fd.load).parameters
    for field in fields(Detector):
        if field.name != "runtime":
            assert taken[field.name].default == field.default


def assert_same(found: Faces, expected: Faces) -> None:
    """The same faces, to 1e-4."""
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


SIDES = st.integers(1, 90)


@given(
    shapes=st.lists(st.tuples(SIDES, SIDES), max_size=12),
    batch=st.integers(1, 5),
    size=st.sampled_from(["original", 64, 100]),
    seed=st.integers(0, 99),
)
@settings(max_examples=30)
def test_many_pictures_give_what_one_at_a_time_gives(
    detector: Detector, shapes: list[tuple[int, int]], batch: int, size: Size, seed: int
) -> None:
    values = np.random.default_rng(seed)
    everything = [values.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    found = list(detector.many(everything, batch=batch, size=size, min_score=0.45))
    assert len(found) == len(everything)
    for picture, faces in zip(everything, found, strict=True):
        assert isinstance(faces, Faces)
        assert_same(faces, detector(picture, size=size, min_score=0.45))


@pytest.mark.parametrize("size", [160, "auto"])
def test_many_real_pictures_give_what_one_at_a_time_gives(tmp_path: Path, size: Size) -> None:
    """Boxes, scores and gender of a face in frames of four shapes, twice each, three to a pass."""
    with Image.open(EXAMPLE) as image:
        cuts = [(60, 0, 380, 400), (100, 20, 420, 220), (60, 0, 380, 320), (120, 30, 360, 230)] * 2
        paths = []
        for i, cut in enumerate(cuts):
            paths.append(tmp_path / f"{i}.jpg")
            image.crop(cut).save(paths[-1])
    detector = s3fd.load(threads=1, size=size, attributes=("gender",))
    found = list(detector.many(paths, batch=3))
    assert [len(faces) for faces in found if isinstance(faces, Faces)] == [1] * 8
    for path, faces in zip(paths, found, strict=True):
        assert isinstance(faces, Faces)
        alone = detector(path)
        assert_same(faces, alone)
        assert faces.attributes["gender"].tolist() == alone.attributes["gender"].tolist()
        np.testing.assert_allclose(
            faces.attributes["gender_probability"], alone.attributes["gender_probability"], atol=1e-4
        )


def test_a_small_portrait_has_its_face_at_the_usual_size() -> None:
    """Enlarged alone, as larger pictures are shrunk, it would show a face of over 400 pixels."""
    with Image.open(EXAMPLE) as image:
        portrait = image.crop((170, 50, 280, 190)).resize((110, 140))
    detector = s3fd.load(threads=1, attributes=("gender",))
    (face,) = detector(portrait)
    assert box_ops.iou(face.boxes, np.array([[6, 18, 100, 124]], np.float32))[0, 0] > 0.6
    assert face.attributes["gender"].tolist() == ["female"]
    assert_same(face, detector(portrait, size="auto"))


def test_small_pictures_share_their_looks(detector: Detector) -> None:
    pixels = [square(64, 48, 32, 16, side) for side in (16, 8, 24)]
    passes: list[tuple[int, ...]] = []

    def counting(batch: np.ndarray, *args: object, **options: object) -> object:
        passes.append(batch.shape[:3])
        return detector.runtime(batch, *args, **options)  # type: ignore[arg-type]

    found = list(replace(detector, runtime=counting, size="vga").many(pixels, batch=3))  # type: ignore[arg-type]
    assert sorted(passes) == [(3, 120, 160), (3, 170, 226), (3, 240, 320), (3, 480, 640)]
    for picture, faces in zip(pixels, found, strict=True):
        assert isinstance(faces, Faces)
        assert_same(faces, detector(picture, size="auto"))


@pytest.mark.parametrize("size", [64, "auto"])
def test_a_broken_picture_among_many_is_reported_in_its_place(
    detector: Detector, tmp_path: Path, size: Size
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    pixels = square(64, 48, 32, 16, 16)
    found = list(detector.many([pixels, tmp_path / "broken.jpg", pixels, "missing.jpg"], batch=4, size=size))
    assert [type(answer) for answer in found] == [Faces, PictureError, Faces, PictureError]
    assert str(found[1]).endswith("not a picture of a known format")


@pytest.mark.parametrize("batch", [1, 2])
def test_a_picture_among_many_that_is_too_large_for_the_memory_is_reported_in_its_place(
    detector: Detector, tmp_path: Path, batch: int
) -> None:
    def short(pictures: np.ndarray, *asked: object) -> object:
        if pictures.size > 32 * 48 * 3:
            raise RuntimeError("out of memory")
        return detector.runtime(pictures, *asked)  # type: ignore[arg-type]

    pixels = square(48, 32, 16, 16, 16)
    Image.fromarray(square(96, 64, 16, 16, 16)).save(tmp_path / "large.png")
    everything = [pixels, pixels, tmp_path / "large.png", pixels]
    found = list(replace(detector, runtime=short).many(everything, batch=batch))  # type: ignore[arg-type]
    assert [type(answer) for answer in found] == [Faces, Faces, PictureError, Faces]
    assert str(found[2]) == f"{tmp_path / 'large.png'}: not enough memory for a picture of this size"


def test_many_pictures_are_taken_as_they_are_asked_for(detector: Detector) -> None:
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for i in range(1000):
            taken.append(i)
            yield square(32, 32, 16, 16, 16)

    assert len(next(detector.many(frames(), batch=2))) == 1
    assert len(taken) < 20


@pytest.mark.parametrize("single", [square(8, 8, 0, 0, 4), Image.new("RGB", (8, 8)), Path("a.jpg")])
def test_a_single_picture_in_the_place_of_many_is_told_what_is_wanted(
    detector: Detector, single: np.ndarray | Image.Image | Path
) -> None:
    with pytest.raises(TypeError, match="for one picture, pass "):
        detector.many(single)  # type: ignore[arg-type]


def test_weights_without_an_embedding_name_those_that_have_one(detector: Detector) -> None:
    with pytest.raises(ValueError, match="slim-identity"):
        replace(detector, embeddings=True)


def test_what_is_no_picture_ends_many(detector: Detector) -> None:
    with pytest.raises(TypeError):
        list(detector.many([3]))  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"for one picture, pass \['a.jpg'\]"):
        detector.many("a.jpg")
    with pytest.raises(ValueError, match="batch"):
        detector.many([], batch=0)


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 960), (3001, 2000)])
@pytest.mark.parametrize("size", [320, "original"])
def test_a_fitted_picture_has_the_size_the_network_sees_and_the_same_faces(
    detector: Detector, tmp_path: Path, width: int, height: int, size: Size
) -> None:
    side = 16 * width // 320
    Image.fromarray(square(width, height, 2 * side, 3 * side, side)).save(tmp_path / "a.jpg", quality=95)
    prepared = detector.prepare(tmp_path / "a.jpg", size)
    fitted = detector.fit(prepared, size)
    assert fitted.pixels.shape[1::-1] == detector.seen(prepared, size)
    assert len(detector.find(prepared, size=size)) >= 1
    assert_same(detector.find(fitted, size=size), detector.find(prepared, size=size))
    assert detector.fit(prepared, "auto") is prepared


@pytest.mark.parametrize("size", [64, 32])
def test_a_picture_may_begin_outside_of_the_full_one(size: int) -> None:
    detector = Detector(SquareFinder(), size=size)
    # Reduced ten times and mirrored: 64 × 40 pixels cover 9 pixels more than the full picture.
    picture = Picture(square(64, 40, 16, 12, 16), 631, 391, scale=(10, 10), corner=(-9, -9))
    for same in (picture, detector.fit(picture)):
        (box,) = np.unique(detector.find(same).boxes, axis=0).tolist()
        assert box == [151, 111, 311, 271]


def test_no_pictures_have_no_faces(detector: Detector) -> None:
    assert detector.find_many([]) == []
    assert list(detector.many([])) == []
