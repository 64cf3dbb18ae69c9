"""The command as a user runs it: in a process of its own."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from s3fd.inference.anonymize import FILL

SIDE = 16
SQUARE = (160, 32)
EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def picture(path: Path, **options: object) -> Path:
    """Save dark noise of 640 × 480 pixels with one white square, which the tiny model takes for a face."""
    pixels = np.random.default_rng(0).integers(0, 60, (480, 640, 3), dtype=np.uint8)
    x, y = SQUARE
    pixels[y : y + SIDE, x : x + SIDE] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s3fd", "anonymize", "--threads", "1", *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, encoding="utf-8", timeout=300)


def anonymize(tiny: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it with the tiny model at the one size at which that knows the square."""
    options = ["--weights", tiny, "--min-score", "0.9", "--size", "original"]
    return run(*options, *arguments, cwd=cwd)


def exif_with_place_and_thumbnail(orientation: int, thumbnail: bytes) -> bytes:
    """An EXIF block as cameras write it (Exif 2.32, section 4.5): orientation, GPS and a small picture."""

    def entry(tag: int, kind: int, count: int, value: int | bytes) -> bytes:
        tail = value.ljust(4, b"\0") if isinstance(value, bytes) else struct.pack("<I", value)
        return struct.pack("<HHI", tag, kind, count) + tail

    def directory(entries: list[bytes], following: int) -> bytes:
        return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)

    first, gps, second, data = 8, 38, 56, 98
    blocks = [
        directory([entry(0x0112, 3, 1, orientation), entry(0x8825, 4, 1, gps)], second),
        directory([entry(1, 2, 2, b"N\0")], 0),
        directory(
            [entry(0x0103, 3, 1, 6), entry(0x0201, 4, 1, data), entry(0x0202, 4, 1, len(thumbnail))], 0
        ),
    ]
    header = b"II*\0" + struct.pack("<I", first)
    assert [first + sum(map(len, blocks[:i])) for i in range(4)] == [first, gps, second, data]
    return b"Exif\0\0" + header + b"".join(blocks) + thumbnail


def test_pixels_beside_the_face_stay_and_the_format_too(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "é a.png")
    before = path.read_bytes()
    answer = anonymize(
        tiny, path, "--out", tmp_path / "out", "--mode", "fill", "--shape", "box", "--margin", "0"
    )
    assert answer.returncode == 0
    assert answer.stderr == ""
    copy = tmp_path / "out" / "é a.png"
    (record,) = (json.loads(line) for line in answer.stdout.splitlines())
    assert (record["path"], record["out"]) == (str(path), str(copy))
    assert [face["box"] for face in record["faces"]] == [[160, 32, 176, 48]]
    with Image.open(path) as original, Image.open(copy) as changed:
        assert changed.format == "PNG"
        wanted = np.array(original)
        x, y = SQUARE
        wanted[y : y + SIDE, x : x + SIDE] = FILL
        np.testing.assert_array_equal(np.asarray(changed), wanted)
    assert path.read_bytes() == before


def test_nothing_of_the_exif_block_is_left(tiny: Path, tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(
        small, "JPEG"
    )
    thumbnail = small.getvalue()
    path = picture(
        tmp_path / "in" / "a.jpg",
        quality=95,
        exif=exif_with_place_and_thumbnail(6, thumbnail),
        comment=b"Ada",
    )
    with Image.open(path) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert image.getexif()[ExifTags.Base.Orientation] == 6
    assert thumbnail in path.read_bytes()

    assert anonymize(tiny, path, "--out", tmp_path / "out").returncode == 0
    copy = tmp_path / "out" / "a.jpg"
    with Image.open(copy) as image:
        assert image.format == "JPEG"
        assert image.size == (480, 640)  # upright
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    written = copy.read_bytes()
    assert b"Exif" not in written
    assert b"Ada" not in written
    assert written.count(b"\xff\xd8\xff") == 1


def test_formats_stay_where_they_can_be_written(tiny: Path, tmp_path: Path) -> None:
    kinds = {"a.jpeg": "JPEG", "b.webp": "WEBP", "c.bmp": "BMP", "d.tiff": "TIFF", "e.gif": "PNG"}
    for name in kinds:
        picture(tmp_path / "in" / name)
    answer = anonymize(tiny, tmp_path / "in", "--out", tmp_path / "out", "--mode", "fill")
    records = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [Path(record["path"]).name for record in records] == list(kinds)
    for record, kind in zip(records, kinds.values(), strict=True):
        with Image.open(record["out"]) as copy:
            assert copy.format == kind
            x, y = SQUARE
            assert np.abs(np.asarray(copy.convert("RGB"))[y + 8, x + 8].astype(int) - FILL).max() < 8


def test_a_folder_with_a_damaged_file_is_read_to_its_end(tiny: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    picture(tmp_path / "in" / "trip" / "b.png")
    out = tmp_path / "in" / "hidden"
    for _ in range(2):  # the second time there are copies already
        answer = anonymize(tiny, tmp_path / "in", "--out", out)
        assert answer.returncode == 1
        records = [json.loads(line) for line in answer.stdout.splitlines()]
        assert [(Path(r["path"]).name, "error" in r) for r in records] == [
            ("a.png", False),
            ("broken.jpg", True),
            ("b.png", False),
        ]
        assert len(answer.stderr.splitlines()) == 1
        written = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*"))
        assert written == [".s3fd-copies", "a.png", "trip/b.png"]


def test_a_folder_among_the_pictures_that_holds_some_is_refused(tiny: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    original = picture(tmp_path / "in" / "2024" / "a.png")
    original.write_bytes(original.read_bytes() + b"another")
    before = original.read_bytes()
    for path in ("in", "in/**", "in/*/*.png"):
        answer = anonymize(tiny, path, "--out", "in/2024", cwd=tmp_path)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert f"in/2024 is inside {path} and contains pictures" in answer.stderr
        assert [p.name for p in original.parent.iterdir()] == ["a.png"]
    assert original.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "--out"),
        (["a.png", "--out", "."], "could overwrite it"),
        ([".", "--out", "."], "could overwrite it"),
        (["sub/b.png", "--out", "."], "could overwrite it"),
        (["a.png", "sub/b.png", "--out", "sub"], "could overwrite it"),
        (["sub/*.png", "--out", "sub"], "could overwrite it"),
        (["a.png", "--out", "a.png"], "--out"),
        (["a.png", "--out", "x", "--mode", "smear"], "smear"),
        (["a.png", "--out", "x", "--shape", "star"], "star"),
        (["a.png", "--out", "x", "--strength", "0.5"], "--strength"),
        (["a.png", "--out", "x", "--size", "huge"], "--size"),
    ],
)
def test_wrong_calls(tiny: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    originals = [picture(tmp_path / "a.png"), picture(tmp_path / "sub" / "b.png")]
    before = [path.read_bytes() for path in originals]
    answer = run("--weights", tiny, *arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert [path.read_bytes() for path in originals] == before


def test_a_copy_that_is_a_link_to_its_picture_is_refused(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "a.png")
    before = path.read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(path)
    answer = anonymize(tiny, path, "--out", tmp_path / "out")
    assert answer.returncode == 1
    assert "is the original picture" in json.loads(answer.stdout)["error"]
    assert path.read_bytes() == before


def test_the_example_with_the_bundled_weights(tmp_path: Path) -> None:
    answer = run(EXAMPLE, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    faces = json.loads(answer.stdout)["faces"]
    assert faces[0]["score"] > 0.7
    with Image.open(EXAMPLE) as original, Image.open(tmp_path / "astronaut.jpg") as copy:
        change = np.abs(np.asarray(copy).astype(int) - np.asarray(original))
    assert change[68:174, 176:270].mean() > 10 * change[:60, :60].mean()
