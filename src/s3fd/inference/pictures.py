"""Decode picture files into what the network takes: upright pixels in BGR order with 8 bits per channel.

Pillow decodes the files. A picture is converted strip by strip, and only at the size that is needed, so that
a large one takes little more memory than Pillow's own copy of it. JPEG files are decoded at a reduced scale
from the start.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from s3fd.errors import UnusableError
from s3fd.inference import heif

Pixels = NDArray[np.uint8]
"""A picture: (H, W, 3) uint8, blue, green, red."""

NeededSize = Callable[[int, int], tuple[int, int]]
"""Maps the (width, height) of the upright picture to the smallest (width, height) that is useful."""

Source = str | os.PathLike[str] | bytes | IO[bytes]
"""A file name, a file's bytes, or an open binary file."""

MAX_PIXELS = 512_000_000
"""Most pixels of a picture that is decoded; a larger one is treated as a decompression bomb."""

BACKGROUND = (255, 255, 255)
"""Colour that shows through transparent pixels: white, as on most pages."""

EXECUTED_FORMATS = ("EPS", "WMF")
"""Formats that Pillow passes to another program or to the system to draw: they are refused."""

STRIP_PIXELS = 4_000_000
"""Number of pixels converted at a time."""

LEFT_IS_RIGHT, TOP_IS_BOTTOM = (2, 3, 6, 7), (3, 4, 7, 8)
"""EXIF orientations for which `_turn` mirrors a picture left to right, and top to bottom."""

DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # if a program turns warnings into errors
)
"""What Pillow's decoders raise for damaged files."""


class PictureError(UnusableError):
    """A picture that cannot be read; the message is one line.

    Attributes:
        name: the file, or another name for the picture.
        reason: why it cannot be read.
    """


@dataclass(frozen=True)
class Picture:
    """A decoded picture, possibly at a reduced scale.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright.
        width: of the full upright picture in pixels.
        height: of the full upright picture in pixels.
        scale: full-size pixels per pixel of `pixels`, along x and y.
        corner: (left, top) of `pixels` in full-size pixels, 0 or less: if the sides do not divide by the
            scale, a picture that was reduced and then mirrored begins slightly outside the full one.
    """

    pixels: Pixels
    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    corner: tuple[float, float] = (0.0, 0.0)

    @property
    def extent(self) -> tuple[float, float]:
        """(width, height) of `pixels` in full-size pixels; it may extend slightly beyond the picture."""
        return self.pixels.shape[1] * self.scale[0], self.pixels.shape[0] * self.scale[1]


def read(source: Source) -> Pixels:
    """Decode a picture at its full size: (H, W, 3) uint8 BGR, upright as its EXIF orientation says.

    The first frame of an animation is used. Transparent pixels show `BACKGROUND`. 16-bit greys are scaled
    from 0–65535 to 8 bits. The range of 32-bit integers and of floating-point values is guessed from the
    values (0–1, 0–255, 0–65535, or their extremes).

    Raises:
        PictureError: the file is missing, damaged, of an unknown format, or over `MAX_PIXELS`.
    """
    return load(source).pixels


def load(
    source: Source, needed: NeededSize | None = None, *, formats: tuple[str, ...] | None = None
) -> Picture:
    """Decode a picture as `read` does, but at no more than about twice the size that `needed` asks for.

    The result also holds the size of the full picture; without `needed`, the pixels have that size. With
    `formats`, which are Pillow's names of formats, no other format is tried.

    Raises:
        PictureError: the file is missing, damaged, of an unknown format, or over `MAX_PIXELS`.
    """
    with _decoding(source, formats) as image:
        _check(image, _name(source))
        size, drafted = image.size, None
        if needed is not None:
            orientation = _orientation(image)
            drafted = image.draft(None, _upright(needed(*_upright(size, orientation)), orientation))
        image.load()
        return _convert(image, size, needed, draft_scale=size[0] / drafted[1][2] if drafted else 1)


@contextmanager
def _decoding(source: Source, formats: tuple[str, ...] | None = None) -> Iterator[ImageFile.ImageFile]:
    """Open a picture; raise what its decoding fails with as a `PictureError`."""
    try:
        with _open(source, formats) as image:
            yield image
    except PictureError:
        raise
    except DECODE_ERRORS as error:
        raise PictureError(_name(source), _reason(error)) from error


@dataclass(frozen=True)
class Header:
    """What a picture file declares before any pixel is decoded.

    Attributes:
        format: Pillow's name of the format, such as ``JPEG``.
        width: in pixels, as stored: not yet turned upright.
        height: in pixels, as stored.
    """

    format: str
    width: int
    height: int


def header(source: Source, *, formats: tuple[str, ...] | None = None) -> Header:
    """Read only the header of a picture.

    With the same `formats`, `load` reads the same picture.

    Raises:
        PictureError: the file is missing, or of none of the formats.
    """
    name = _name(source)
    try:
        with _open(source, formats) as image:
            return Header(image.format or "", image.width, image.height)
    except DECODE_ERRORS as error:
        raise PictureError(name, _reason(error)) from error


def upright_size(source: Source) -> tuple[int, int]:
    """Return the (width, height) of the picture that `read` decodes, from the file's header.

    Raises:
        PictureError: the file is missing, of an unknown format, or over `MAX_PIXELS`.
    """
    with _decoding(source) as image:
        _check(image, _name(source))
        orientation = _orientation(image)
        if orientation >= 5 and image.format == "TIFF":  # Pillow turns it, some versions only on loading
            image.load()
            return image.size
        return _upright(image.size, orientation)


def upright(pixels: Pixels, source: Source) -> Pixels:
    """Turn the pixels (H, W, 3) of `source`, decoded as stored by another library, as `read` turns them.

    Raises:
        PictureError: the file is missing, or of an unknown format.
    """
    with _decoding(source) as image:
        return _turn(pixels, _orientation(image))


def from_pil(image: Image.Image, needed: NeededSize | None = None) -> Picture:
    """Convert an opened Pillow picture as `load` does.

    Raises:
        PictureError: its file is damaged, it has no pixels, or its colour mode is unknown.
    """
    try:
        image.load()
        if not image.width or not image.height:
            raise ValueError("no pixels")
        return _convert(image, image.size, needed)
    except DECODE_ERRORS as error:
        raise PictureError("picture", _reason(error)) from error


_limit_lock = threading.Lock()


def _open(source: Source, formats: tuple[str, ...] | None) -> ImageFile.ImageFile:
    """Open a picture of one of these formats, or of any format if None.

    Raises:
        PictureError: it is HEIC, and the package that reads HEIC is not installed.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return _opened(file, formats)
    except UnidentifiedImageError:
        if formats is not None or not heif.is_heif(_start(file)):
            raise
        if not heif.register():
            raise PictureError(_name(source), heif.MISSING) from None
        return _opened(file, formats)


def _opened(file: str | os.PathLike[str] | IO[bytes], formats: tuple[str, ...] | None) -> ImageFile.ImageFile:
    """Open a file under this module's limit on a picture's size instead of Pillow's.

    Pillow's limit is a global, which it reads while opening. Opening takes microseconds, and the limit is
    restored at once.
    """
    with _limit_lock:
        theirs = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = 2 * MAX_PIXELS
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


def _start(file: str | os.PathLike[str] | IO[bytes]) -> bytes:
    """The first bytes of a file."""
    if isinstance(file, (str, os.PathLike)):
        with Path(file).open("rb") as opened:
            return opened.read(heif.PREFIX)
    file.seek(0)
    return file.read(heif.PREFIX)


def _check(image: ImageFile.ImageFile, name: str) -> None:
    """Refuse a picture that is too large or would start another program."""
    if image.width * image.height > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 10**6} megapixels"
        raise PictureError(name, f"{image.width} × {image.height} pixels are over the limit of {limit}")
    if image.format in EXECUTED_FORMATS:
        raise PictureError(
            name, f"{image.format} files are not supported: decoding one would run another program"
        )


def _name(source: Source) -> str:
    """Name of a source in messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", "picture"))


def _reason(error: BaseException) -> str:
    """One line that explains a decoder's exception."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture of a known format"
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) if it is missing or the EXIF block is damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODE_ERRORS:  # the picture itself may be intact
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Swap width and height for orientations that turn a picture on its side; its own inverse."""
    return (size[1], size[0]) if orientation >= 5 else size


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Turn a picture upright; the orientations are EXIF's (Exif 2.32, section 4.6.4, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in TOP_IS_BOTTOM:
        pixels = pixels[::-1]
    if orientation in LEFT_IS_RIGHT:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _convert(
    image: Image.Image, size: tuple[int, int], needed: NeededSize | None, draft_scale: float = 1
) -> Picture:
    """Convert a loaded picture strip by strip.

    `size` is the (width, height) in pixels of the picture in its file, and `draft_scale` how many times
    larger that is than the loaded picture.
    """
    # Read only now: PNG may have its EXIF block at the end, and Pillow turns TIFF upright while loading.
    orientation = _orientation(image)
    full = _upright(size, orientation)
    width, height = _upright(needed(*full), orientation) if needed else image.size
    step = max(1, image.width // width), max(1, image.height // height)

    pixels = np.empty((-(-image.height // step[1]), -(-image.width // step[0]), 3), np.uint8)
    low, high = _range(image)
    rows = max(1, STRIP_PIXELS // (image.width * step[1])) * step[1]
    for top in range(0, image.height, rows):
        whole = rows >= image.height
        strip = image if whole else image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb = _to_rgb(strip, low, high)
        rgb = rgb if step == (1, 1) else rgb.reduce(step)
        # OpenCV swaps the channels ten times as fast as NumPy, which steps backwards byte by byte.
        cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR, dst=pixels[top // step[1] :][: rgb.height])
    scale = _upright(step, orientation)
    picture = Picture(_turn(pixels, orientation), *full, (scale[0] * draft_scale, scale[1] * draft_scale))
    mirrored = orientation in LEFT_IS_RIGHT, orientation in TOP_IS_BOTTOM
    beyond = picture.extent[0] - picture.width, picture.extent[1] - picture.height
    return replace(picture, corner=(-beyond[0] * mirrored[0], -beyond[1] * mirrored[1]))


def _range(image: Image.Image) -> tuple[float, float]:
    """The values of a 16-bit, 32-bit or floating-point picture that stand for black and white.

    16-bit greys use all of 0–65535. The wider modes do not declare their range. The narrowest usual range
    that holds the picture's values is used (0–1 for floating point, 0–255, 0–65535), or their extremes if
    none does.
    """
    if image.mode not in ("I", "F"):
        return 0, 65535
    low, high = _extremes(image)
    for white in (1, 255, 65535) if image.mode == "F" else (255, 65535):
        if low >= 0 and high <= white:
            return 0, white
    return low, high


def _extremes(image: Image.Image) -> tuple[float, float]:
    """Smallest and largest finite value of a single-channel picture; 0 and 0 if there is none."""
    low, high = np.inf, -np.inf
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0, 0)


def _to_rgb(image: Image.Image, low: float, high: float) -> Image.Image:
    """Convert to 8-bit RGB; `low` and `high` are black and white in modes with more than 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=low, posinf=high, neginf=low)
        grey = (values - low) * (255 / (high - low) if high > low else 0)
        return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        alpha = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        opaque = Image.new("RGB", image.size, BACKGROUND)
        opaque.paste(alpha, mask=alpha.getchannel("A"))
        return opaque
    return image if image.mode == "RGB" else image.convert("RGB")
