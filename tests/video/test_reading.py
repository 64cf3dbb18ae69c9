from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from s3fd.video.frames import VideoError
from s3fd.video.reading import VideoFile


def square(count: int = 20) -> list[np.ndarray]:
    return list(clips.frames([lambda t: (4 * t % 130, 30)], count))


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    pictures = square()
    path = clips.save(tmp_path / "a.mp4", pictures)
    with VideoFile(path) as video:
        assert (video.format.width, video.format.height) == clips.SIZE
        assert video.format.rate == 25
        found = list(video)
    assert [frame.number for frame in found] == list(range(20))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(20)])
    for frame, picture in zip(found, pictures, strict=True):
        assert np.abs(frame.pixels.astype(int) - picture).mean() < 5


def test_uneven_times_stay(tmp_path: Path) -> None:
    times = [0, 1, 5, 6, 7, 30]
    path = clips.save(tmp_path / "a.mp4", square(6), times=times)
    with VideoFile(path) as video:
        assert [frame.time for frame in video] == pytest.approx([t / 25 for t in times])


def test_the_clock_goes_on_where_files_were_joined(tmp_path: Path) -> None:
    parts = [clips.save(tmp_path / name, square()).read_bytes() for name in ("a.ts", "b.ts")]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    with VideoFile(joined) as video:
        assert [frame.time for frame in video] == pytest.approx([i / 25 for i in range(40)])


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_a_clock_may_begin_at_any_time(tmp_path: Path, suffix: str) -> None:
    path = clips.save(tmp_path / f"a{suffix}", square(), begin=5000)
    with VideoFile(path) as video:
        assert video.format.start == pytest.approx(0, abs=0.1)
        assert [frame.time for frame in video] == pytest.approx([i / 25 for i in range(20)])


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_frames_are_turned_upright(tmp_path: Path, rotation: int) -> None:
    (picture,) = square(1)
    stored = np.ascontiguousarray(np.rot90(picture, -rotation // 90))
    path = clips.save(tmp_path / "a.mp4", [stored] * 3, rotation=rotation)
    with VideoFile(path) as video:
        assert (video.format.width, video.format.height) == clips.SIZE
        for frame in video:
            assert frame.pixels.shape == picture.shape
            assert np.abs(frame.pixels.astype(int) - picture).mean() < 5


@pytest.mark.parametrize(
    ("matrix", "stored"),
    [
        ((-1, 0, 0, 1), lambda shown: shown[:, ::-1]),
        ((1, 0, 0, -1), lambda shown: shown[::-1]),
        ((0, 1, 1, 0), lambda shown: shown.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda shown: shown[::-1, ::-1].swapaxes(0, 1)),
        ((0, 1, -1, 0), lambda shown: np.rot90(shown)),
    ],
)
def test_frames_are_mirrored_as_they_are_shown(
    tmp_path: Path, matrix: tuple[int, ...], stored: Callable[[np.ndarray], np.ndarray]
) -> None:
    (picture,) = square(1)
    path = clips.save(tmp_path / "a.mp4", [np.ascontiguousarray(stored(picture))] * 3)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # the matrix: each row of two numbers is followed by a zero
    struct.pack_into(">5i", data, start, *(value << 16 for value in (*matrix[:2], 0, *matrix[2:])))
    path.write_bytes(data)
    with VideoFile(path) as video:
        assert (video.format.width, video.format.height) == clips.SIZE
        for frame in video:
            assert frame.pixels.shape == picture.shape
            assert np.abs(frame.pixels.astype(int) - picture).mean() < 1


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mjpeg"), (".mkv", "libx264"), (".mov", "mpeg4")])
def test_kinds_of_file(tmp_path: Path, suffix: str, codec: str) -> None:
    path = clips.save(tmp_path / f"a{suffix}", square(), codec=codec)
    with VideoFile(path) as video:
        assert len(list(video)) == 20


def test_files_that_are_no_video(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        clips._add_sound(container, container.add_stream("aac", rate=48000))
    for path, reason in (
        (tmp_path / "missing.mp4", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (text, "not a video that can be decoded"),
        (empty, "not a video that can be decoded"),
        (sound, "contains no video"),
    ):
        with pytest.raises(VideoError) as caught:
            VideoFile(path)
        assert (caught.value.name, caught.value.reason) == (str(path), reason)


def test_a_file_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    whole = clips.save(tmp_path / "whole.mp4", square()).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoError, match="not a video that can be decoded"):
        VideoFile(cut)


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mjpeg"), (".mkv", "libx264")])
def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (96, 160, 3), dtype=np.uint8) for _ in range(50)]
    whole = clips.save(tmp_path / f"whole{suffix}", noise, codec=codec)
    with VideoFile(whole) as video:
        assert len(list(video)) == 50
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    numbers = []
    with VideoFile(cut) as video, pytest.raises(VideoError, match=r"cut off after \d\.\d of 2\.\d seconds"):
        for frame in video:
            numbers.append(frame.number)
    assert numbers == list(range(len(numbers)))
    assert 10 <= len(numbers) <= 30


def test_frames_that_an_avi_dropped_are_not_missing(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.avi", square(20), codec="mpeg4", times=range(0, 60, 3))
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 50
    with VideoFile(path) as video:
        assert len(list(video)) == 20


def test_damaged_parts_are_left_out_and_counted(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.avi", square(30), codec="mjpeg")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.dts is not None]
    for position, size in packets[10:13]:
        content[position : position + size + 8] = bytes(size + 8)
    start = packets[10][0]
    content[start : start + 8] = path.read_bytes()[start : start + 8]
    path.write_bytes(content)
    count = 0
    with VideoFile(path) as video, pytest.raises(VideoError, match=r"damaged|cut off"):
        for _ in video:
            count += 1
    assert 10 <= count < 30
