"""Shards hold what a folder does, and nothing of them is lost in silence."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3fd.data import shards
from s3fd.data.location import read_bytes
from s3fd.data.sample import Sample


def picture(shade: int = 0) -> bytes:
    """A grey PNG of 60 × 40."""
    buffer = io.BytesIO()
    Image.new("L", (60, 40), shade).save(buffer, "PNG")
    return buffer.getvalue()


def boxes(*each: object, **more: object) -> bytes:
    return json.dumps({"boxes": each, **more}).encode()


def make(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Seven pictures with boxes that no short decimal names."""
    found = []
    rng = np.random.default_rng(0)
    for i in range(7):
        path = tmp_path / f"{i}.v2.PNG"
        path.write_bytes(picture(i))
        corners = rng.uniform((0, 0, 25, 25), (20, 20, 60, 40), (i, 4)).astype(np.float32)
        found.append(Sample(path, corners, rng.random(i) < 0.5))
    return found


@pytest.mark.parametrize("pattern", ["{000000..000002}.tar", "*.tar", "00000{0..1}.*|000002.tar"])
def test_what_is_written_is_read(pattern: str, samples: list[Sample], tmp_path: Path) -> None:
    written = shards.write(samples, tmp_path / "out", 3)
    assert [path.name for path in written] == ["000000.tar", "000001.tar", "000002.tar"]
    parts = [shards.read(tmp_path / "out" / one) for one in pattern.split("|")]
    assert not any(part.problems for part in parts)
    found = [sample for part in parts for sample in part.samples]
    assert len(found) == len(samples)
    for a, b in zip(samples, found, strict=True):
        assert read_bytes(a.path) == read_bytes(b.path)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.ignored, b.ignored)
    with tarfile.open(written[0]) as tar:
        assert tar.getnames()[:3] == ["000000000.png", "000000000.json", "000000001.png"]
        assert json.load(tar.extractfile("000000001.json") or io.BytesIO())["name"] == "1.v2.PNG"


def test_the_same_samples_give_the_same_bytes(samples: list[Sample], tmp_path: Path) -> None:
    one, two = (shards.write(samples, tmp_path / name, 7)[0].read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_folder_of_shards_is_whole_or_not_there(samples: list[Sample], tmp_path: Path) -> None:
    samples[4].path.unlink()
    with pytest.raises(FileNotFoundError, match=r"4\.v2\.PNG"):
        shards.write(samples, tmp_path / "out", 3)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "000007.tar").touch()  # of a run that was killed
    assert len(shards.write(samples[:3], tmp_path / "out", 3)) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["000000.tar"]
    with pytest.raises(FileExistsError, match="out already exists"):
        shards.write(samples[:3], tmp_path / "out", 3)


def test_other_tools_shards(tmp_path: Path) -> None:
    """Any order, folders, several suffixes and members that say nothing here."""
    members = {
        "a/1.json": boxes([5, 5, 20, 20]),
        "b/1.png": picture(1),
        "a/1.cls": b"7",
        "a/1.seg.png": picture(),
        "a/1.png": picture(2),
        "b/1.JSON": boxes([0, 0, 9, 9], ignored=[True]),
        "README": b"none of it",
        ".hidden.png": b"none of it",
    }
    found = shards.read(make(tmp_path / "x.tar", members))
    assert not found.problems
    one, two = found.samples
    assert (str(one.path), str(two.path)) == (f"{tmp_path}/x.tar/a/1.png", f"{tmp_path}/x.tar/b/1.png")
    assert read_bytes(one.path) == picture(2) and read_bytes(two.path) == picture(1)
    assert one.boxes.tolist() == [[5, 5, 20, 20]] and two.ignored.tolist() == [True]


def test_what_does_not_go_together_is_reported_with_its_names(tmp_path: Path) -> None:
    members = {
        "1.png": picture(),
        "2.json": boxes(),
        "3.png": b"no picture",
        "3.json": boxes(),
        "4.png": picture(),
        "4.json": boxes([5, 5, 5, 20], [5, 5, 20, 20]),
    }
    found = shards.read(make(tmp_path / "x.tar", members))
    assert len(found.samples) == 1 and len(found.samples[0].boxes) == 1
    assert sorted(str(problem) for problem in found.problems) == [
        f"{tmp_path}/x.tar/4.json:0: box 5 5 5 20 of 4.png has no area",
        f"{tmp_path}/x.tar:0: {tmp_path}/x.tar/3.png: not a picture of a known format",
        f"{tmp_path}/x.tar:0: no 1.json for 1.png",
        f"{tmp_path}/x.tar:0: no picture for 2.json",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"[]",
        b"\xff",
        b"{}",
        boxes([1, 2, 3]),
        boxes(["a", 1, 2, 3]),
        boxes([10**400, 1, 2, 3]),
        boxes(5),
        boxes([1, 2, 3, 4], ignored=[]),
        boxes([1, 2, 3, 4], ignored=[1]),
    ],
)
def test_a_json_file_of_another_content_is_named(content: bytes, tmp_path: Path) -> None:
    path = make(tmp_path / "x.tar", {"1.png": picture(), "1.json": content})
    with pytest.raises(ValueError, match=r"x\.tar/1\.json: expected"):
        shards.read(path)


@pytest.mark.parametrize("name", ["1.jpg", "1.Json"])
def test_a_second_of_either_is_refused(name: str, tmp_path: Path) -> None:
    members = {"1.png": picture(), "1.json": boxes(), name: picture() if "jpg" in name else boxes()}
    with pytest.raises(ValueError, match=f"x.tar/{name}: a second"):
        shards.read(make(tmp_path / "x.tar", members))


def test_a_shard_cut_off_anywhere_is_named(samples: list[Sample], tmp_path: Path) -> None:
    (path,) = shards.write(samples, tmp_path / "out", 9)
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        end = max(member.offset_data + member.size for member in tar)
    for length in {*range(0, end, 256), *range(512, end, 512), end}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"000000\.tar: not a complete uncompressed tar"):
            shards.read(path)


def test_a_damaged_header_loses_nothing_in_silence(samples: list[Sample], tmp_path: Path) -> None:
    (path,) = shards.write(samples, tmp_path / "out", 9)
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        headers = [member.offset for member in tar]
    for offset in headers:
        path.write_bytes(whole[:offset] + b"\x80" + whole[offset + 1 :])
        with pytest.raises(ValueError, match=r"000000\.tar: not a complete uncompressed tar"):
            shards.read(path)


def test_a_header_that_tarfile_stumbles_over_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("1.png")
        member.pax_headers = {"GNU.sparse.map": "a,b"}
        tar.addfile(member)
    with pytest.raises(shards.ShardError, match=r"x\.tar: not a complete uncompressed tar"):
        shards.read(tmp_path / "x.tar")


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "x.tar.gz", {"1.png": picture(), "1.json": boxes()}, "w:gz")
    with pytest.raises(ValueError, match=r"x\.tar\.gz: not a complete uncompressed tar"):
        shards.read(path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{000..003}.tar", r"002\.tar does not exist"),
        ("none-*.tar", r"none-\*\.tar: no shards found"),
        ("{3..1}.tar", "no shards found"),
    ],
)
def test_a_shard_that_is_not_there_is_named(pattern: str, message: str, tmp_path: Path) -> None:
    for name in ("000.tar", "001.tar", "003.tar"):
        make(tmp_path / name, {})
    with pytest.raises(FileNotFoundError, match=message):
        shards.read(tmp_path / pattern)


def test_a_shard_that_changed_since_it_was_read_is_named(samples: list[Sample], tmp_path: Path) -> None:
    (path,) = shards.write(samples, tmp_path / "out", 9)
    found = shards.read(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"000000\.tar/000000006\.png"):
        read_bytes(found.samples[-1].path)


def test_a_picture_needs_its_suffix(tmp_path: Path, samples: list[Sample]) -> None:
    odd = Sample(tmp_path / "picture", samples[0].boxes, samples[0].ignored)
    with pytest.raises(ValueError, match="picture: unsupported picture suffix"):
        shards.write([odd], tmp_path / "out", 1)


def test_numbers_are_written_out() -> None:
    expected = ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert list(shards._expand("a-{08..11}.tar")) == expected
    assert list(shards._expand("{1..2}-{0..1}")) == ["1-0", "1-1", "2-0", "2-1"]
    assert list(shards._expand("{a,b}.tar")) == ["{a,b}.tar"]
