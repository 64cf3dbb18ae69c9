from __future__ import annotations

from pathlib import Path

import numpy as np

import s3fd
from s3fd.inference.job import Outputs, detect
from s3fd.inference.sources import Source


def test_records_come_in_order_with_failures_and_frames_between(tiny: Path, tmp_path: Path) -> None:
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
    records = list(detect(detector, sources, outputs=outputs))
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


def test_small_faces_are_left_out(tiny: Path) -> None:
    source = Source("a", Path("a"), np.full((16, 16, 3), 255, np.uint8))
    detector = s3fd.load(tiny, threads=1, size="original")
    assert [len(r.faces or ()) for r in detect(detector, [source] * 2, min_size=16)] == [1, 1]
    assert [len(r.faces or ()) for r in detect(detector, [source], min_size=16.5)] == [0]
