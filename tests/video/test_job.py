from __future__ import annotations

from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
from square_finder import SquareFinder

from s3fd.inference.anonymize import FILL, Style
from s3fd.inference.records import Record
from s3fd.inference.sources import sources
from s3fd.video.follow import Following
from s3fd.video.job import anonymize_video, drawn, rewrite
from s3fd.video.reading import VideoFile
from s3fd.video.writing import VideoWriter

BOX = Style("fill", margin=0, shape="box")


def right(t: int) -> tuple[float, float]:
    return 2 * t, 30


def anonymize(path: Path, out: Path, runtime: SquareFinder | None = None, **options: object) -> Record:
    """The last record of anonymising one video."""
    (source,) = sources([str(path)], whole_videos=True)
    every = {"every": 1, "sound": True} | options
    *ticks, record = anonymize_video(source, out, clips.detector(runtime), BOX, **every)  # type: ignore[arg-type]
    assert all(tick is None for tick in ticks)
    assert isinstance(record, Record)
    return record


@pytest.mark.parametrize("every", [1, 3])
def test_faces_are_hidden_in_every_frame_and_the_rest_stays(tmp_path: Path, every: int) -> None:
    pictures = list(clips.frames([right], 50))
    path = clips.save(tmp_path / "a.mp4", pictures)
    record = anonymize(path, tmp_path / "out", clips.Blinking(blind=range(8, 14)), every=every)
    assert record.error is None
    assert record.out == str(tmp_path / "out" / "a.mp4")
    with VideoFile(record.out) as video:
        copies = [frame.pixels.astype(int) for frame in video]
    assert len(copies) == 50
    for number, (copy, picture) in enumerate(zip(copies, pictures, strict=True)):
        x = round(right(number)[0])
        inside = copy[34:50, x + 4 : x + 20]
        assert np.abs(inside - FILL).mean() < 20, number
        assert (inside[..., 2] - inside[..., 0]).max() < 100, number  # no red is left
        far = np.ones(picture.shape[:2], bool)
        far[:, max(0, x - 40) : x + 64] = False
        assert np.abs(copy[far] - picture[far]).mean() < 4, number


def test_the_record_says_when_who_was_hidden(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([right], 30), sound="aac")
    said = anonymize(path, tmp_path).to_dict()
    assert said == {"path": str(path), "error": f"{path} is the original video; it was left unchanged"}
    said = anonymize(path, tmp_path / "out").to_dict()
    (face,) = said.pop("faces")
    assert said == {
        "path": str(path),
        "out": str(tmp_path / "out" / "a.mp4"),
        "width": 160,
        "height": 96,
        "frames": 30,
        "sound": True,
    }
    assert (face["track"], face["first"], face["last"], face["detections"]) == (1, 0, 29, 30)
    assert anonymize(path, tmp_path / "silent", sound=False).to_dict()["sound"] is False


def test_what_cannot_be_read_gives_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("nothing")
    record = anonymize(path, tmp_path / "out")
    assert record.to_dict() == {"path": str(path), "error": "not a video that can be decoded"}
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_a_fault_of_one_video(tmp_path: Path) -> None:
    class Short(SquareFinder):
        def __call__(self, *_: object) -> Any:
            raise MemoryError("not enough memory for a picture of this size")

    path = clips.save(tmp_path / "a.mp4", clips.frames([right], 3))
    assert anonymize(path, tmp_path / "out", Short()).error == "not enough memory for a picture of this size"
    assert not list((tmp_path / "out").iterdir())


def test_of_a_video_that_is_cut_off_the_copy_holds_what_there_is(tmp_path: Path) -> None:
    whole = clips.save(tmp_path / "whole.avi", clips.frames([right], 50), codec="mjpeg").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    record = anonymize(cut, tmp_path / "out")
    assert record.error is not None and "cut off" in record.error
    assert record.out == str(tmp_path / "out" / "cut.avi.mp4")
    with VideoFile(record.out) as video:
        assert len(list(video)) == record.to_dict()["frames"] > 10


def test_who_stops_early_leaves_no_half_copy(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([right], 50))
    (source,) = sources([str(path)], whole_videos=True)
    records = anonymize_video(source, tmp_path / "out", clips.detector(), BOX, every=1, sound=True)
    for _ in range(10):
        next(records)
    records.close()
    assert list((tmp_path / "out").iterdir()) == []


def test_an_annotated_copy_shows_every_face(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([lambda t: (60, 30)], 20))
    with VideoFile(path) as video:
        writer = VideoWriter(tmp_path / "b.mp4", video.format)
        frames = list(rewrite(video, clips.detector(), Following(every=2), writer, drawn))
    assert len(frames) == 20
    with VideoFile(tmp_path / "b.mp4") as copy:
        for frame in copy:
            edge = frame.pixels[30:54, 58:62].astype(int)
            assert (edge[..., 1] - edge[..., 0]).max() > 60, frame.number  # the green of the box


def test_what_cannot_be_encoded_ends_the_run(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([right], 50))
    with VideoFile(path) as video, pytest.raises(ValueError, match="boom"):
        writer = VideoWriter(tmp_path / "b.mp4", video.format)

        def broken(_: object) -> np.ndarray:
            raise ValueError("boom")

        list(rewrite(video, clips.detector(), Following(), writer, broken))
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_link_that_leads_nowhere_is_an_error_beside_an_earlier_copy(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"of an earlier run")
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    record = anonymize(tmp_path / "a.mp4", tmp_path / "out")
    assert record.error == "No such file or directory"
