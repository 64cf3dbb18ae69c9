"""Sets in a folder and at a URL are the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from s3fd.data import voc, wider, yolo
from s3fd.data.location import Part, UnreachableError, below, locate, read_bytes
from s3fd.data.sample import Dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one turned by its EXIF, a file that is none, and annotations in three formats."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    Image.new("RGB", (60, 40), "red").save(tmp_path / "pictures" / "a" / "1.jpg", exif=exif)
    Image.new("RGB", (60, 40), "blue").save(tmp_path / "pictures" / "a-2.png")
    (tmp_path / "pictures" / "bad.jpg").write_bytes(b"no picture")
    rows = [
        f"{name}\n2\n5 5 20 20 0 0 0 0 0 0\n5 5 10 10 0 0 0 1 0 0"
        for name in ("a-2.png", "none.png", "bad.jpg", "a/1.jpg")
    ]
    (tmp_path / "gt.txt").write_text("\n".join(rows))
    (tmp_path / "yolo" / "a").mkdir(parents=True)
    (tmp_path / "yolo" / "a" / "1.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "xml").mkdir()
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    for name in ("a/1.jpg", "a-2.png", "none.png"):
        xml = f"<annotation><filename>{name}</filename><object><name>face</name>{box}</object></annotation>"
        (tmp_path / "xml" / f"{Path(name).stem}.xml").write_text(xml)
    return tmp_path


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """An empty memory:// that is left empty."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def reduced(found: Dataset, root: str) -> list[object]:
    """What was found, without where it lies."""
    samples = [
        (str(s.path).replace(root, "ROOT"), s.boxes.tolist(), s.ignored.tolist()) for s in found.samples
    ]
    return [samples, [(str(p.file).replace(root, "ROOT"), p.line) for p in found.problems]]


@pytest.mark.parametrize(
    ("reader", "annotations", "count"),
    [(wider.read, "gt.txt", (2, 2)), (voc.read, "xml", (2, 1)), (yolo.read, "yolo", (2, 1))],
)
def test_a_url_is_read_as_a_folder_is(
    reader: object, annotations: str, count: tuple[int, int], folder: Path, memory: MemoryFileSystem
) -> None:
    memory.put(str(folder), "/sets", recursive=True)
    url = locate("memory://sets")
    here = reader(folder / annotations, folder / "pictures")  # type: ignore[operator]
    there = reader(url / annotations, url / "pictures")  # type: ignore[operator]
    assert reduced(here, str(folder)) == reduced(there, "memory://sets")
    assert (len(here.samples), len(here.problems)) == count
    for a, b in zip(here.samples, there.samples, strict=True):
        assert read_bytes(a.path) == read_bytes(b.path)
    texts = " ".join(str(problem) for problem in there.problems)
    assert ("memory://sets/pictures/none.png does not exist" in texts) == (reader is not yolo.read)


def test_part_of_a_file(tmp_path: Path, memory: MemoryFileSystem) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    memory.pipe("/x", b"0123456789")
    for place in (tmp_path / "x", locate("memory://x")):
        assert read_bytes(Part(place, "y", 3, 4)) == b"3456"
        with pytest.raises(OSError, match="x/y: expected 4 bytes, got 2"):
            read_bytes(Part(place, "y", 8, 4))


def test_a_storage_with_versions(memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in s3fs, whose `cat_file` takes a version before the range."""
    plain = MemoryFileSystem.cat_file

    def versioned(
        self: MemoryFileSystem,
        path: str,
        version: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> bytes:
        assert version is None
        data: bytes = plain(self, path, start, end)
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", versioned)
    memory.pipe("/x", b"0123456789")
    assert read_bytes(Part(locate("memory://x"), "y", 3, 4)) == b"3456"
    assert read_bytes(locate("memory://x")) == b"0123456789"


def test_parts_of_a_configuration_lie_below_its_root(tmp_path: Path) -> None:
    url = locate("memory://sets")
    assert below(tmp_path, Path("a/b")) == tmp_path / "a" / "b"
    assert str(below(url, Path("a/b"))) == "memory://sets/a/b"
    assert below(url, Path()) == url
    assert below(url, tmp_path) == tmp_path
    assert str(below(tmp_path, "memory://other")) == "memory://other"


def test_a_connection_that_fails_is_no_missing_picture(
    folder: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.put(str(folder), "/sets", recursive=True)
    whole = MemoryFileSystem.cat_file

    def fail(self: MemoryFileSystem, path: str, *args: object, **options: object) -> bytes:
        if path.endswith("1.jpg"):
            raise ConnectionError("reset by peer")
        data: bytes = whole(self, path, *args, **options)
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    url = locate("memory://sets")
    with pytest.raises(UnreachableError, match=r"memory://sets/pictures/a/1\.jpg: reset by peer"):
        wider.read(url / "gt.txt", url / "pictures")


def test_what_urls_need_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        below(Path(), "nowhere://x").exists()
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(ValueError, match=r"s3fd\[remote\]"):
        locate("s3://bucket")


def test_folders_need_no_fsspec(folder: Path) -> None:
    code = (
        "import sys; sys.modules['fsspec'] = sys.modules['upath'] = None\n"
        "from pathlib import Path; from s3fd.data import shards, voc, wider, yolo\n"
        f"root = Path({str(folder)!r})\n"
        "print(len(wider.read(root / 'gt.txt', root / 'pictures').samples))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"
