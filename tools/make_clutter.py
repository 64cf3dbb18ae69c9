#!/usr/bin/env python3
"""Compose pictures without a face, of many objects in unusual places.

    python tools/make_clutter.py OBJECTS PLACES OUT --teacher yunet.onnx [--count N] [--seed S]

A detector trained on few places and objects mistakes others for faces: lettering, wheels, hands, horns.
OBJECTS holds pictures of single objects with a transparent background, such as the stamps of Debian's package
tuxpaint-stamps-default. PLACES holds photographs without people, such as desktop backgrounds. In both,
pictures in which YuNet (MIT licence, OpenCV's model zoo) finds a face are left out, and so are folders called
``people``.

OUT receives ``images`` and ``bbx_gt.txt``, an annotation file in WIDER FACE's format that has no face: the
places themselves, and `--count` pictures of 10 to 90 objects, of 14 to 260 pixels, over a part of a place or
a plain background, with words here and there.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from relabel import LOWEST_SCORE, look
from rich.progress import track

from s3fd.inference.sources import PICTURE_SUFFIXES

Picture = NDArray[np.uint8]

SIDE = 640
"""Side of the composed pictures, in pixels."""

LARGEST_PLACE, LARGEST_OBJECT = 1600, 512
"""Longest sides in pixels to which larger pictures are reduced."""

SMALLEST_PLACE, SMALLEST_OBJECT = 600, 30
"""Shorter sides in pixels below which pictures are left out."""

OBJECTS, OBJECT_SIZES = (10, 90), (14, 260)
WORDS = ("street", "photo", "SALE", "open", "team", "1997", "24", "No.7", "MUSIC", "parade", "BANK", "police")

LOOKS_LIKE_A_FACE = 0.5
"""YuNet's score from which a picture is left out."""

TEACHERS_SIDES = (320, 640)


def yunet(path: Path) -> Callable[[Picture], float]:
    """Return a function that scores the likeliest face in a picture, with YuNet from this ONNX file."""
    teacher = cv2.FaceDetectorYN.create(str(path), "", (320, 320), LOWEST_SCORE)

    def likeliest(picture: Picture) -> float:
        return max(float(look(teacher, picture, side).scores.max(initial=0)) for side in TEACHERS_SIDES)

    return likeliest


def read_objects(folder: Path, likeliest: Callable[[Picture], float]) -> Iterator[Picture]:
    """Yield objects (H, W, 4) uint8, BGR and opacity, from pictures with transparency and no face."""
    for picture in _read(folder):
        if picture.shape[2] != 4 or min(picture.shape[:2]) < SMALLEST_OBJECT:
            continue
        reduced = _scaled(picture, min(1, LARGEST_OBJECT / max(picture.shape[:2])))
        on_grey = np.full((*reduced.shape[:2], 3), 127, np.uint8)
        _blend(on_grey, reduced[..., :3], reduced[..., 3:] / 255)
        if likeliest(on_grey) < LOOKS_LIKE_A_FACE:
            yield reduced


def read_places(folder: Path, likeliest: Callable[[Picture], float]) -> Iterator[Picture]:
    """Yield places (H, W, 3) uint8 BGR, from pictures that are large enough and have no face."""
    for picture in _read(folder):
        if min(picture.shape[:2]) < SMALLEST_PLACE:
            continue
        reduced = _scaled(picture[..., :3], min(1, LARGEST_PLACE / max(picture.shape[:2])))
        if likeliest(reduced) < LOOKS_LIKE_A_FACE:
            yield reduced


def _read(folder: Path) -> Iterator[Picture]:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in PICTURE_SUFFIXES or "people" in file.parts or not file.is_file():
            continue
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if picture is not None and picture.ndim == 3:
            yield np.asarray(picture >> 8 if picture.dtype == np.uint16 else picture, np.uint8)


def compose(objects: Sequence[Picture], places: Sequence[Picture], rng: np.random.Generator) -> Picture:
    """Compose a picture (SIDE, SIDE, 3) of objects and words over a part of a place or a plain background."""
    picture = _part(places, rng) if rng.random() < 0.7 else _plain(rng)
    for _ in range(rng.integers(*OBJECTS, endpoint=True)):
        _put(picture, objects[rng.integers(len(objects))], rng)
    for _ in range(rng.integers(5)):
        _write(picture, rng)
    if rng.random() < 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    if rng.random() < 0.1:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    return picture


def _part(places: Sequence[Picture], rng: np.random.Generator) -> Picture:
    place = places[rng.integers(len(places))]
    height, width = place.shape[:2]
    side = int(rng.uniform(250, min(height, width)))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    part = place[y : y + side, x : x + side]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _plain(rng: np.random.Generator) -> Picture:
    """Make a background of one colour that changes towards another from top to bottom."""
    slope = np.linspace(0, 1, SIDE)[:, None, None] * rng.uniform(-90, 90, 3)
    return np.clip(np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3)) + slope, 0, 255).astype(np.uint8)


def _put(picture: Picture, thing: Picture, rng: np.random.Generator) -> None:
    """Paste an object at a random place and size, at times mirrored, turned or in other colours."""
    size = math.exp(rng.uniform(*np.log(OBJECT_SIZES)))
    thing = _scaled(thing, size / max(thing.shape[:2]))
    if rng.random() < 0.5:
        thing = thing[:, ::-1]
    height, width = thing.shape[:2]
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-40, 40), 1)
        thing = np.asarray(cv2.warpAffine(thing, turn, (width, height)), np.uint8)
    colours = thing[..., :3].astype(np.float64)
    if rng.random() < 0.3:
        colours = colours * rng.uniform(0.4, 1.3, 3)
    y, x = rng.integers(SIDE - height), rng.integers(SIDE - width)
    _blend(picture[y : y + height, x : x + width], colours, thing[..., 3:] / 255 * rng.uniform(0.8, 1))


def _write(picture: Picture, rng: np.random.Generator) -> None:
    """Write some random words at a random place."""
    cv2.putText(
        picture,
        " ".join(rng.choice(WORDS, rng.integers(1, 4))),
        (int(rng.uniform(0, SIDE - 80)), int(rng.uniform(20, SIDE))),
        int(rng.integers(0, 8)),
        rng.uniform(0.4, 3),
        rng.integers(0, 256, 3).tolist(),
        int(rng.integers(1, 5)),
        cv2.LINE_AA,
    )


def _blend(under: Picture, over: NDArray[np.generic], opacity: NDArray[np.float64]) -> None:
    under[:] = np.clip(under * (1 - opacity) + over * opacity, 0, 255).astype(np.uint8)


def _scaled(picture: Picture, scale: float) -> Picture:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("objects", type=Path, help="folder of objects with a transparent ground")
    parser.add_argument("places", type=Path, help="folder of photographs without people")
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="YuNet's ONNX file")
    parser.add_argument("--count", type=int, default=1100, help="composed pictures")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    likeliest = yunet(args.teacher)
    objects = list(read_objects(args.objects, likeliest))
    places = list(read_places(args.places, likeliest))
    if not objects or not places:
        parser.error(f"{len(objects)} objects and {len(places)} places are left: there must be some of both")
    print(f"{len(objects)} objects, {len(places)} places")
    save(objects, places, args.out, args.count, args.seed)


def save(objects: Sequence[Picture], places: Sequence[Picture], out: Path, count: int, seed: int) -> None:
    """Write the places and `count` composed pictures, and the annotation file."""
    rng = np.random.default_rng(seed)
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    names = []
    for number, place in enumerate(places):
        names.append(f"place{number:04}.jpg")
        cv2.imwrite(str(images / names[-1]), place, [cv2.IMWRITE_JPEG_QUALITY, 90])
    for number in track(range(count), description="composing"):
        names.append(f"clutter{number:04}.jpg")
        quality = int(rng.integers(60, 95))
        picture = compose(objects, places, rng)
        cv2.imwrite(str(images / names[-1]), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    nothing = "0\n" + "0 " * 9 + "0\n"  # WIDER FACE's own way to say that there is no face
    (out / "bbx_gt.txt").write_text("".join(f"{name}\n{nothing}" for name in names), encoding="utf-8")


if __name__ == "__main__":
    main()
