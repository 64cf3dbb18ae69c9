from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import s3fd
from s3fd.inference import pictures
from s3fd.inference.anonymize import Style
from s3fd.inference.job import Outputs, anonymize, detect
from s3fd.inference.pictures import PictureError
from s3fd.inference.runtime import Runtime
from s3fd.inference.sources import Source


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (3, 1), (2, 3)])
def test_records_come_in_order_with_failures_and_frames_between(
    tiny: Path, tmp_path: Path, workers: int, batch: int
) -> None:
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[16:32, 16:32] = 255
    sources = [
        Source("clip.mp4", Path("clip.mp4/000000.jpg"), pixels, frame=0, time=0.0),
        Source("missing.jpg", Path("missing.jpg")),
        Source("nothing/*", Path(), error="no picture matches this pattern"),
        Source("clip.mp4", Path("clip.mp4/000001.jpg"), pixels * 0, frame=1, time=0.1),
    ]
    detector = s3fd.load(tiny, threads=1, size="original", min_score=0.9)
    outputs = Outputs(tmp_path / "copies", tmp_path / "crops")
    records = list(detect(detector, sources, outputs=outputs, workers=workers, batch=batch))
    assert [record.error for record in records] == [
        None,
        "No such file or directory",
        "no picture matches this pattern",
        None,
    ]
    assert [len(record.faces) if record.faces is not None else None for record in records] == [
        1,
        None,
        None,
        0,
    ]
    assert (records[3].frame, records[3].time, records[3].width, records[3].height) == (1, 0.1, 48, 32)
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.jpg"))
    assert written == [
        "copies/clip.mp4/000000.jpg",
        "copies/clip.mp4/000001.jpg",
        "crops/clip.mp4/000000_0.jpg",
    ]


def test_a_name_that_grows_too_long_is_a_fault_of_one_picture(tiny: Path, tmp_path: Path) -> None:
    long, short = tmp_path / f"{'a' * 251}.gif", tmp_path / "b.gif"
    pixels = np.zeros((32, 48), np.uint8)
    pixels[16:32, 16:32] = 255
    try:
        for path in (long, short):
            Image.fromarray(pixels).save(path)
    except OSError:
        pytest.skip("names are shorter on this file system")
    sources = [Source(str(path), Path(path.name)) for path in (long, short)]
    detector = s3fd.load(tiny, threads=1, size="original", min_score=0.9)
    for records in (
        detect(detector, sources, outputs=Outputs(copies=tmp_path / "copies")),
        detect(detector, sources, outputs=Outputs(crops=tmp_path / "crops")),
        anonymize(detector, sources, tmp_path / "hidden", Style()),
    ):
        first, second = records
        assert first is not None and first.error == "the name of the output file would be too long"
        assert second is not None and second.error is None
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*/b*"))
    assert written == ["copies/b.gif.png", "crops/b.gif_0.jpg", "hidden/b.gif.png"]


class Short:
    """A runtime with memory for one picture of 32 × 48 pixels."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runtime, name)

    def __call__(self, pictures: Any, *asked: Any) -> Any:
        if pictures.size > 32 * 48 * 3:
            raise RuntimeError("Status Message: Failed to allocate memory for requested buffer of size 4608")
        return self.runtime(pictures, *asked)


@pytest.mark.parametrize("batch", [1, 2])
def test_too_little_memory_is_a_fault_of_one_picture(tiny: Path, tmp_path: Path, batch: int) -> None:
    pixels = np.full((32, 48, 3), 255, np.uint8)
    shapes = (pixels, np.tile(pixels, (2, 2, 1)), pixels)
    sources = [Source(f"{i}.png", Path(f"{i}.png"), shape) for i, shape in enumerate(shapes)]
    detector = s3fd.load(tiny, threads=1, size="original")
    detector = replace(detector, runtime=Short(detector.runtime))
    for records in (
        detect(detector, sources, batch=batch),
        anonymize(detector, sources, tmp_path, Style()),
    ):
        errors = [record.error for record in records if record is not None]
        assert errors == [None, "not enough memory for a picture of this size", None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "2.png"]


def test_another_fault_of_the_engine_ends_the_run(tiny: Path) -> None:
    detector = s3fd.load(tiny, threads=1, size="original")

    def broken(*_: Any) -> Any:
        raise RuntimeError("unsupported operator")

    detector = replace(detector, runtime=broken)
    with pytest.raises(RuntimeError, match="unsupported operator"):
        list(detect(detector, [Source("a", Path("a"), np.zeros((16, 16, 3), np.uint8))]))


def test_small_faces_are_left_out(tiny: Path) -> None:
    source = Source("a", Path("a"), np.full((16, 16, 3), 255, np.uint8))
    detector = s3fd.load(tiny, threads=1, size="original")
    assert [len(r.faces or ()) for r in detect(detector, [source] * 2, min_size=16)] == [1, 1]
    assert [len(r.faces or ()) for r in detect(detector, [source], min_size=16.5)] == [0]


def photograph(folder: Path, name: str, width: int, height: int) -> Source:
    """A file with a white square of 16 pixels at x = 16 and y = 16."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[16:32, 16:32] = 255
    Image.fromarray(pixels).save(folder / name)
    return Source(str(folder / name), Path(name))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_copy_has_the_size_of_the_picture_whatever_the_network_saw(
    tiny: Path, tmp_path: Path, batch: int
) -> None:
    sources = [photograph(tmp_path, f"{width}.png", width, 48) for width in (64, 320, 320, 64)]
    detector = s3fd.load(tiny, threads=1, size=64, min_score=0.3)
    records = list(detect(detector, sources, outputs=Outputs(tmp_path / "copies"), batch=batch))
    assert [record.width for record in records] == [64, 320, 320, 64]
    for source in sources:
        with Image.open(source.path) as whole, Image.open(tmp_path / "copies" / source.relative) as copy:
            assert copy.size == whole.size


def test_a_picture_that_cannot_be_read_a_second_time_is_reported(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [photograph(tmp_path, "a.png", 640, 48), photograph(tmp_path, "b.png", 32, 32)]

    def fail(path: str) -> None:
        raise PictureError(path, "gone")

    monkeypatch.setattr(pictures, "read", fail)
    detector = s3fd.load(tiny, threads=1, size=32)
    found = detect(detector, sources, outputs=Outputs(tmp_path / "copies"))
    assert [record.error for record in found] == ["gone", None]
    hidden = anonymize(detector, sources, tmp_path / "hidden", Style())
    assert [record.error for record in hidden] == ["gone", None]


def test_what_cannot_be_written_ends_the_run_without_a_thread_left(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("a file where the folder should be")
    sources = [photograph(tmp_path, "a.png", 64, 48)] * 9
    before = threading.active_count()
    with pytest.raises(OSError, match="copies"):
        list(detect(s3fd.load(tiny, threads=1), sources, outputs=Outputs(tmp_path / "copies"), workers=3))
    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"batch": 0}])
def test_no_workers_and_no_batch_are_refused(tiny: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="not 0"):
        detect(s3fd.load(tiny, threads=1), [], **wrong)  # type: ignore[arg-type]
