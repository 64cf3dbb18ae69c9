from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from s3fd.video.frames import VideoError, VideoFormat
from s3fd.video.reading import VideoFile
from s3fd.video.writing import VideoWriter, video_name

FORMAT = VideoFormat(*clips.SIZE, Fraction(25), time_base=Fraction(1, 25))
PICTURES = list(clips.frames([lambda t: (4 * t, 30)], 25))


def write(path: Path, video: VideoFormat = FORMAT, **options: object) -> VideoWriter:
    with VideoWriter(path, video, **options) as writer:  # type: ignore[arg-type]
        for number, pixels in enumerate(PICTURES):
            writer.write(pixels, number / 25)
    return writer


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".M4V"])
def test_what_is_written_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path)
    with VideoFile(path) as video:
        frames = list(video)
    assert len(frames) == 25
    for frame, picture in zip(frames, PICTURES, strict=True):
        assert np.abs(frame.pixels.astype(int) - picture).mean() < 6
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="needs names with a colon")
def test_a_name_with_a_colon_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clips.save(tmp_path / "file:a.mp4", PICTURES, sound="aac")
    assert write(Path("http:b.mp4"), sound="file:a.mp4").has_sound
    with VideoFile("http:b.mp4") as video:
        assert video.name == "http:b.mp4"
        assert len(list(video)) == len(PICTURES)


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 251}.mp4"
    try:
        path.touch()
    except OSError:
        pytest.skip("names are shorter on this file system")
    write(path)
    with VideoFile(path) as video:
        assert len(list(video)) == len(PICTURES)
    assert list(tmp_path.iterdir()) == [path]


def test_uneven_times_stay(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.4, 0.44, 1.0]
    with VideoWriter(tmp_path / "a.mp4", FORMAT) as writer:
        for pixels, time in zip(PICTURES, times, strict=False):
            writer.write(pixels, time)
    with VideoFile(tmp_path / "a.mp4") as video:
        assert [frame.time for frame in video] == pytest.approx(times)


@pytest.mark.parametrize("matrix", [1, 5, 6])
def test_colours_survive_being_read_and_written(tmp_path: Path, matrix: int) -> None:
    flat = np.full((96, 160, 3), (40, 90, 200), np.uint8)
    video = VideoFormat(*clips.SIZE, Fraction(25), time_base=Fraction(1, 25), matrix=matrix)
    with VideoWriter(tmp_path / "a.mp4", video) as writer:
        writer.write(flat, 0.0)
    with VideoFile(tmp_path / "a.mp4") as again:
        assert again.format.matrix == matrix
        (frame,) = again
    assert np.abs(frame.pixels.astype(int) - flat).max() <= 2


def test_greys_stay_grey(tmp_path: Path) -> None:
    grey = np.repeat(np.linspace(20, 230, 160).astype(np.uint8)[None, :, None], 96, axis=0).repeat(3, axis=2)
    with VideoWriter(tmp_path / "a.mp4", FORMAT) as writer:
        writer.write(grey, 0.0)
    with VideoFile(tmp_path / "a.mp4") as video:
        (frame,) = video
    assert np.abs((frame.pixels.astype(int) - grey).mean(axis=(0, 1))).max() < 0.5


def test_odd_sides_gain_a_pixel(tmp_path: Path) -> None:
    video = VideoFormat(31, 17, Fraction(25))
    with VideoWriter(tmp_path / "a.mp4", video) as writer:
        writer.write(np.zeros((17, 31, 3), np.uint8), 0.0)
    with VideoFile(tmp_path / "a.mp4") as again:
        assert (again.format.width, again.format.height) == (32, 18)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]


def test_sound_is_kept_as_it_is_and_nothing_else(tmp_path: Path) -> None:
    told = {"title": "secret", "location": "+52.5+013.4/"}
    path = clips.save(tmp_path / "in.mp4", PICTURES, sound="aac", metadata=told)
    assert write(tmp_path / "out.mp4", sound=path).has_sound
    assert packets(tmp_path / "out.mp4") == packets(path)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "secret"
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert not {"title", "location"} & set(container.metadata)
    assert b"secret" not in (tmp_path / "out.mp4").read_bytes()


def test_sound_of_files_that_were_joined_goes_on(tmp_path: Path) -> None:
    part = clips.save(tmp_path / "part.ts", PICTURES, sound="aac")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    assert write(tmp_path / "out.mp4", sound=joined).has_sound
    sound = packets(part)
    assert len(packets(tmp_path / "out.mp4")) == 2 * len(sound)
    with av.open(str(tmp_path / "out.mp4")) as container:
        (stream,) = container.streams.audio
        assert float(stream.duration * stream.time_base) == pytest.approx(
            2 * len(sound) * 1024 / 48000, abs=0.05
        )


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_a_copy_begins_at_once_whatever_the_clock(tmp_path: Path, suffix: str) -> None:
    path = clips.save(tmp_path / f"in{suffix}", PICTURES, sound="aac", begin=5000)
    with VideoFile(path) as video:
        start = video.format.start
        write(tmp_path / "out.mp4", video.format, sound=path)
    with av.open(str(tmp_path / "out.mp4")) as container:
        (pictures, sound) = (next(container.decode(stream)) for stream in container.streams)
        assert pictures.time == pytest.approx(start, abs=0.01)
        assert abs(sound.time) < 0.03 and pictures.time < 0.1
        assert len(list(container.demux(audio=0))) > 50


def test_sound_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "in.avi", PICTURES, sound="adpcm_ms", codec="mpeg4")
    writer = write(tmp_path / "out.mp4", sound=path)
    assert not writer.has_sound
    with VideoFile(tmp_path / "out.mp4") as video:
        assert len(list(video)) == 25


def test_a_video_without_sound_has_none_to_keep(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "in.mp4", PICTURES)
    assert not write(tmp_path / "out.mp4", sound=path).has_sound


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", FORMAT, keep=True) as writer:
        writer.write(PICTURES[0], 0.0)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("keep", "left"), [(True, ["a.mp4"]), (False, [])])
def test_what_the_user_ends_is_kept_if_asked_for(tmp_path: Path, keep: bool, left: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", FORMAT, keep=keep) as writer:
        writer.write(PICTURES[0], 0.0)
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == left


def test_a_file_that_is_there_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("before")
    with pytest.raises(RuntimeError), VideoWriter(path, FORMAT):
        raise RuntimeError
    assert path.read_text() == "before"
    write(path)
    assert path.stat().st_size > 100


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(
        VideoError, match=r"a\.gif: unsupported video format; use one of \.m4v, \.mkv, \.mov, \.mp4"
    ):
        VideoWriter(tmp_path / "a.gif", FORMAT)
    with pytest.raises(VideoError, match=r"a\.mp4: No such file or directory"):
        write(tmp_path / "missing" / "a.mp4")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.mp4", "a/b.mp4"),
        ("b.MOV", "b.MOV"),
        ("b.avi", "b.avi.mp4"),
        ("b.webm", "b.webm.mp4"),
        ("b.avi.mp4", "b.avi.mp4.mp4"),
        ("b.2024.mp4", "b.2024.mp4"),
    ],
)
def test_names_of_copies(name: str, expected: str) -> None:
    assert video_name(Path(name)) == Path(expected)


def test_after_a_failure_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Full:
        def mux(self, packets: object) -> None:
            calls.append(packets)
            raise av.error.FFmpegError(28, "No space left on device")

        def close(self) -> None:
            pass

    path = tmp_path / "a.mp4"
    with pytest.raises(VideoError, match="No space left"), VideoWriter(path, FORMAT) as writer:
        monkeypatch.setattr(writer, "_container", Full())
        for number, pixels in enumerate(PICTURES):
            with pytest.raises(VideoError, match="No space left"):
                writer.write(pixels, number / 25)
        writer.write(PICTURES[0], 2)
    assert len(calls) == 1 and not path.exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_without_a_channel_layout_is_kept(tmp_path: Path, suffix: str) -> None:
    sound = clips.save(tmp_path / "a.avi", PICTURES, codec="mjpeg", sound="pcm_s16le")
    with av.open(str(sound)) as container:
        assert container.streams.audio[0].codec_context.layout.name == "2 channels"
        samples = [frame.to_ndarray() for frame in container.decode(audio=0)]
    path = tmp_path / f"b{suffix}"
    assert write(path, sound=sound).has_sound
    with av.open(str(path)) as container:
        copied = [frame.to_ndarray() for frame in container.decode(audio=0)]
    assert np.array_equal(np.concatenate(copied, axis=1), np.concatenate(samples, axis=1))
