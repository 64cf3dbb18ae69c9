from __future__ import annotations

import contextlib
import io
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import PIL.features
import pytest
from PIL import Image

from s3fd.inference import heif, pictures
from s3fd.inference.pictures import PictureError
from s3fd.serving.client import ServiceError
from s3fd.video.frames import VideoError

ROOT = Path(__file__).parents[2]
TELEPHONE = Path(__file__).with_name("telephone.heic")
RGB = (200, 100, 50)
BGR = [50, 100, 200]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def quarters() -> Image.Image:
    """A picture whose upper left quarter alone is bright, so that every orientation differs."""
    image = Image.new("RGB", (40, 24), (20, 20, 20))
    image.paste((250, 10, 10), (0, 0, 20, 12))
    return image


def test_pixels_are_blue_green_red(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2), RGB).save(path)
    pixels = pictures.read(path)
    assert pixels.shape == (2, 3, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    assert (pixels == BGR).all()


def test_a_name_bytes_and_an_open_file_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    quarters().save(path)
    expected = pictures.read(path)
    np.testing.assert_array_equal(pictures.read(str(path)), expected)
    np.testing.assert_array_equal(pictures.read(path.read_bytes()), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(pictures.read(file), expected)


def as_held(picture: Image.Image, orientation: int) -> Image.Image:
    """What a camera held otherwise stores."""
    undo = {  # EXIF's own operation is the inverse of each of these
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return picture.transpose(undo[orientation]) if orientation in undo else picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_every_exif_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    turned = as_held(quarters(), orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = pictures.load(encoded(turned, kind, exif=exif, **options))
    assert (picture.width, picture.height) == (40, 24)
    np.testing.assert_array_equal(picture.pixels, pictures.read(encoded(quarters(), "PNG")))


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_turned_picture_is_reduced_along_the_right_sides(kind: str, step: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (2400, 300), RGB), kind, exif=exif)
    picture = pictures.load(data, lambda width, height: (width // step, height // step))
    assert (picture.width, picture.height) == (300, 2400)
    assert picture.pixels.shape[0] > 7 * picture.pixels.shape[1]
    assert 2400 // step <= picture.pixels.shape[0] <= 2400 * 2 // step


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_turned_and_reduced_picture_lies_where_the_full_one_does(kind: str, orientation: int) -> None:
    pixels = np.zeros((1203, 1601, 3), np.uint8)  # reduced eight times, it covers 7 × 5 pixels more
    pixels[400:720, 240:480] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(as_held(Image.fromarray(pixels), orientation), kind, exif=exif)
    picture = pictures.load(data, lambda width, height: (width // 8, height // 8))
    assert picture.scale == (8, 8)
    light = picture.pixels[:, :, 0].astype(float)
    y, x = np.indices(light.shape) + 0.5
    centre = (x * light).sum() / light.sum(), (y * light).sum() / light.sum()
    place = np.multiply(centre, picture.scale) + picture.corner
    assert place == pytest.approx([360, 560], abs=0.5)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_impossible_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert pictures.read(encoded(quarters(), "PNG", exif=exif)).shape == (24, 40, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("1", 1, "PNG", [255, 255, 255]),
        ("L", 90, "PNG", [90, 90, 90]),
        ("LA", (90, 255), "PNG", [90, 90, 90]),
        ("LA", (90, 0), "PNG", [255, 255, 255]),
        ("RGBA", (*RGB, 255), "PNG", BGR),
        ("RGBA", (*RGB, 0), "PNG", [255, 255, 255]),
        ("RGBA", (0, 0, 0, 51), "PNG", [204, 204, 204]),
        ("I;16", 0x8080, "PNG", [128, 128, 128]),
        ("I;16", 0x8080, "TIFF", [128, 128, 128]),
        ("I;16B", 0x8080, "TIFF", [128, 128, 128]),
        ("I", 128, "TIFF", [128, 128, 128]),
        ("F", 0.5, "TIFF", [128, 128, 128]),
        ("F", 200.0, "TIFF", [200, 200, 200]),
        ("CMYK", (0, 255, 255, 0), "TIFF", [0, 0, 255]),
        pytest.param(
            "YCbCr",
            (128, 128, 128),
            "TIFF",
            [128, 128, 128],
            marks=pytest.mark.skipif(
                int(PIL.__version__.split(".")[0]) < 13, reason="older ones do not read what they write"
            ),
        ),
    ],
)
def test_every_mode(mode: str, colour: object, kind: str, expected: list[int]) -> None:
    image = Image.new(mode, (5, 4), colour)  # type: ignore[arg-type]
    pixels = pictures.read(encoded(image, kind))
    assert pixels.shape == (4, 5, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_palette_and_its_transparent_colour() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([*RGB, 1, 2, 3])
    image.putpixel((0, 0), 1)
    assert (pictures.read(encoded(image, "PNG"))[1, 1] == BGR).all()
    pixels = pictures.read(encoded(image, "PNG", transparency=1))
    assert (pixels[1, 1] == BGR).all()
    assert (pixels[0, 0] == 255).all()


def test_a_cmyk_jpeg() -> None:
    pixels = pictures.read(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    assert np.abs(pixels.astype(int) - [0, 0, 255]).max() <= 3


def test_floating_point_with_gaps_and_its_own_range() -> None:
    values = np.array([[-2.0, 2.0], [np.nan, np.inf]], np.float32)
    pixels = pictures.read(encoded(Image.fromarray(values), "TIFF"))
    assert pixels[:, :, 0].tolist() == [[0, 255], [0, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 51, 255]], np.int32), [0, 51, 255]),
        (np.array([[0, 257, 65_535]], np.int32), [0, 1, 255]),
        (np.array([[0, 257, 256]], np.int32), [0, 1, 1]),
        (np.array([[1000, 2000, 65_536 + 1000]], np.int32), [0, 4, 255]),
        (np.array([[-1, 1, 254]], np.int32), [0, 2, 255]),
        (np.array([[0, 0.2, 1]], np.float32), [0, 51, 255]),
        (np.array([[0, 51, 255]], np.float32), [0, 51, 255]),
        (np.array([[0, 257, 65_535]], np.float32), [0, 1, 255]),
        (np.array([[np.nan, np.nan, np.nan]], np.float32), [0, 0, 0]),
        (np.array([[-3, -3, -3]], np.float32), [0, 0, 0]),
    ],
)
def test_the_narrowest_usual_range_that_holds_the_values_is_used(
    values: np.ndarray, expected: list[int]
) -> None:
    pixels = pictures.read(encoded(Image.fromarray(values), "TIFF"))
    assert pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black", "red")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert (pictures.read(data) >= 254).all()


def test_one_pixel() -> None:
    picture = pictures.load(encoded(Image.new("RGB", (1, 1), RGB), "PNG"), lambda w, h: (640, 640))
    assert picture.pixels.shape == (1, 1, 3)


def test_a_very_wide_picture_can_be_reduced_to_a_few_rows() -> None:
    data = encoded(Image.new("RGB", (20_000, 50), RGB), "PNG")
    picture = pictures.load(data, lambda width, height: (640, 2))
    assert (picture.width, picture.height) == (20_000, 50)
    assert picture.pixels.shape == (2, 646, 3)
    assert (picture.pixels == BGR).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_reduced_picture_is_the_whole_picture(kind: str) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    smooth = coarse.resize((1601, 1203), Image.Resampling.BICUBIC)
    data = encoded(smooth, kind, **({"quality": 95} if kind == "JPEG" else {}))
    picture = pictures.load(data, lambda width, height: (160, 120))
    assert picture.scale == ((8, 8) if kind == "JPEG" else (10, 10))
    expected = np.asarray(smooth.reduce(int(picture.scale[0])))[:, :, ::-1]
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 1
    assert picture.extent == (expected.shape[1] * picture.scale[0], expected.shape[0] * picture.scale[0])


def test_strips_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 255, (57, 31, 3), dtype=np.uint8)), "PNG")

    def needed(width: int, height: int) -> tuple[int, int]:
        return 10, 10

    whole, part = pictures.read(data), pictures.load(data, needed).pixels
    monkeypatch.setattr(pictures, "STRIP_PIXELS", 70)
    np.testing.assert_array_equal(pictures.read(data), whole)
    np.testing.assert_array_equal(pictures.load(data, needed).pixels, part)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(PictureError) as caught:
        pictures.read(path)
    assert caught.value.name == str(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "TGA", "JPEG2000"])
def test_a_damaged_file_raises_nothing_else(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(quarters(), kind))
    for position in rng.integers(0, len(data), 8):
        data[position] = rng.integers(0, 256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(PictureError):
            pictures.read(bytes(data))


def test_a_warning_that_a_program_has_raised_is_told_as_an_error() -> None:
    damaged = encoded(quarters(), "TIFF")[:30]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError):
            pictures.read(damaged)


@pytest.mark.parametrize("size", [(0, 0), (0, 5)])
def test_a_pillow_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    for needed in (None, lambda width, height: (width, height)):
        with pytest.raises(PictureError, match="no pixels"):
            pictures.from_pil(Image.new("RGB", size), needed)


@pytest.mark.parametrize("name", ["missing.jpg", "folder", "text.jpg", "null\0byte.jpg"])
def test_what_is_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(PictureError):
        pictures.read(str(tmp_path / name))


def test_postscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.eps"
    quarters().save(path, "EPS")
    with pytest.raises(PictureError, match="another program"):
        pictures.read(path)


def test_a_hundred_megapixels_need_no_warning_and_leave_pillows_limit_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = encoded(Image.new("RGB", (40, 40), RGB), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.read(data).shape == (40, 40, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_pillows_limit_is_put_back_by_threads_at_once() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = encoded(Image.new("RGB", (4, 4), RGB), "PNG")
    threads = [threading.Thread(target=lambda: [pictures.read(data) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS


def test_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1_000_000)
    data = encoded(Image.new("L", (2000, 900)), "PNG")
    with pytest.raises(PictureError, match="limit of 1 megapixels"):
        pictures.read(data)


@pytest.mark.parametrize(
    "error",
    [PictureError("a.jpg", "no picture"), VideoError("a.mp4", "cut off"), ServiceError(429, "busy", 2.0)],
)
def test_an_error_can_be_raised_in_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error) and vars(copy) == vars(error)


def test_a_pillow_picture_is_taken_as_a_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    quarters().save(path, exif=exif)
    with Image.open(path) as image:
        picture = pictures.from_pil(image)
        assert image.size == (40, 24)
    assert (picture.width, picture.height) == (24, 40)
    np.testing.assert_array_equal(picture.pixels, pictures.read(path))


def test_a_header_tells_format_and_size_and_formats_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20)).save(path)
    assert pictures.header(path) == pictures.Header("PNG", 30, 20)
    cut = path.read_bytes()[:-20]
    assert pictures.header(cut, formats=("JPEG", "PNG")).width == 30
    for read in (pictures.header, pictures.load):
        with pytest.raises(PictureError, match="known format"):
            read(path.read_bytes(), formats=("JPEG",))


@pytest.mark.skipif(not PIL.features.check("avif"), reason="this Pillow does not decode AVIF")
def test_a_damaged_avif_is_refused() -> None:
    """Pillow's decoder raises RuntimeError, as no other does."""
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "AVIF")
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        place = int(rng.integers(len(data)))
        data[place : place + 8] = rng.bytes(8)
        with contextlib.suppress(PictureError):
            pictures.read(bytes(data))
            continue
        refused += 1
    assert refused


def test_a_telephones_heic_is_read_and_upright() -> None:
    """`telephone.heic` is a part of the example photograph, stored on its side; the container turns it."""
    expected = Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB").crop((100, 0, 420, 256))
    for source in (TELEPHONE, TELEPHONE.read_bytes(), io.BytesIO(TELEPHONE.read_bytes())):
        picture = pictures.load(source)
        assert (picture.width, picture.height) == (320, 256)
        assert np.abs(picture.pixels[..., ::-1].astype(int) - np.asarray(expected)).mean() < 5
    assert pictures.header(TELEPHONE) == pictures.Header("HEIF", 320, 256)


def test_a_heic_says_what_is_missing_to_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "register", lambda: False)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "HEIF"])
    with pytest.raises(
        PictureError, match=r"telephone\.heic: reading HEIC needs pi-heif: pip install 's3fd\[heic\]'"
    ):
        pictures.load(TELEPHONE)


def test_a_damaged_heic_is_refused() -> None:
    whole = TELEPHONE.read_bytes()
    for cut in (11, 12, 40, 400, len(whole) // 2):
        with pytest.raises(PictureError):
            pictures.load(whole[:cut])


def test_a_heic_is_not_tried_where_other_formats_are_asked_for() -> None:
    with pytest.raises(PictureError, match="known format"):
        pictures.load(TELEPHONE.read_bytes(), formats=("JPEG", "PNG"))
