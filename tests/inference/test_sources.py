from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from s3fd.inference.sources import Source, sources


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files that are never opened, in the current folder."""
    for name in (
        "photos/b.jpg",
        "photos/a.PNG",
        "photos/notes.txt",
        "photos/.hidden.jpg",
        "photos/.cache/c.jpg",
        "photos/trip/a.jpg",
        "photos/trip/day 2/[x].jpeg",
        "other/a.jpg",
        "single.dat",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [Path(source.path).as_posix() for source in sources(paths, exclude)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("single.dat", ["single.dat"]),
        (
            "photos",
            ["photos/a.PNG", "photos/b.jpg", "photos/trip/a.jpg", "photos/trip/day 2/[x].jpeg"],
        ),
        ("photos/trip/", ["photos/trip/a.jpg", "photos/trip/day 2/[x].jpeg"]),
        ("photos/*", ["photos/a.PNG", "photos/b.jpg"]),
        ("photos/*.jpg", ["photos/b.jpg"]),
        ("photos/**/*.jpg", ["photos/b.jpg", "photos/trip/a.jpg"]),
        (
            "photos/**",
            ["photos/a.PNG", "photos/b.jpg", "photos/trip/a.jpg", "photos/trip/day 2/[x].jpeg"],
        ),
        ("*/a.jpg", ["other/a.jpg"]),
        ("*/trip/?.jpg", ["photos/trip/a.jpg"]),
        ("photos/trip/day 2/[x].jpeg", ["photos/trip/day 2/[x].jpeg"]),  # a name, not a pattern
    ],
)
def test_paths(photos: Path, path: str, expected: list[str]) -> None:
    assert found(path) == expected


def test_absolute_patterns(photos: Path) -> None:
    assert found(str(photos / "*" / "a.jpg")) == [(photos / "other" / "a.jpg").as_posix()]


@pytest.mark.parametrize("path", ["missing.jpg", "photos/*.gif", "missing/**/*.jpg", "x" * 5000, ""])
def test_what_does_not_exist_is_an_error_and_the_rest_goes_on(photos: Path, path: str) -> None:
    first, second = sources([path, "single.dat"])
    assert first.path == path
    assert first.error
    assert second.path == "single.dat"
    assert second.error is None


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["single.dat"], ["single.dat"]),
        (["other/a.jpg"], ["a.jpg"]),
        (["photos/trip"], ["a.jpg", "day 2/[x].jpeg"]),
        (["other", "photos/trip"], ["other/a.jpg", "photos/trip/a.jpg", "photos/trip/day 2/[x].jpeg"]),
        (["other/a.jpg", "photos/trip/a.jpg"], ["other/a.jpg", "photos/trip/a.jpg"]),
        (["photos/**/a.jpg"], ["trip/a.jpg"]),
    ],
)
def test_relative_names_follow_the_folders_and_never_collide(
    photos: Path, paths: list[str], expected: list[str]
) -> None:
    assert [source.relative.as_posix() for source in sources(paths)] == expected


def test_output_folders_are_not_entered(photos: Path) -> None:
    assert found("photos", exclude=("photos/trip",)) == ["photos/a.PNG", "photos/b.jpg"]
    assert found("photos/**/*.jpg", exclude=("photos/trip",)) == ["photos/b.jpg"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_that_form_loops_end(photos: Path) -> None:
    (photos / "photos/trip/up").symlink_to(photos / "photos", target_is_directory=True)
    (photos / "photos/trip/again").symlink_to(photos / "photos", target_is_directory=True)
    (photos / "photos/self").symlink_to(photos / "photos/self")
    (photos / "photos/linked.jpg").symlink_to(photos / "other/a.jpg")
    assert len(found("photos")) == 5
    assert found("photos/**/*.jpg") == ["photos/b.jpg", "photos/linked.jpg", "photos/trip/a.jpg"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_that_lead_nowhere_are_left_to_whoever_opens_them(photos: Path) -> None:
    (photos / "photos/trip/gone.jpg").symlink_to(photos / "gone.jpg")
    (photos / "photos/trip/self.jpg").symlink_to("self.jpg")
    (photos / "photos/trip/under a file.jpg").symlink_to(photos / "single.dat/a.jpg")
    (photos / "photos/trip/self").symlink_to("self")
    links = ["photos/trip/gone.jpg", "photos/trip/self.jpg", "photos/trip/under a file.jpg"]
    assert found("photos/trip") == ["photos/trip/a.jpg", *links, "photos/trip/day 2/[x].jpeg"]
    assert found("photos/*/*.jpg") == ["photos/trip/a.jpg", *links]
    assert found("photos/trip/*/[[]x].jpeg") == ["photos/trip/day 2/[x].jpeg"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_an_error(photos: Path) -> None:
    (photos / "photos/trip").chmod(0)
    try:
        *_, last = sources(["photos"])
        assert last.error
    finally:
        (photos / "photos/trip").chmod(0o755)


def test_sources_are_made_one_by_one(photos: Path) -> None:
    iterator = sources(["photos/b.jpg", "photos/later.jpg"])
    assert next(iterator).path == "photos/b.jpg"
    (photos / "photos/later.jpg").touch()
    assert next(iterator).error is None


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames, 10 a second, each a little brighter."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for i in range(5):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_frames_with_their_times(video: Path) -> None:
    frames = list(sources([str(video)]))
    assert [frame.frame for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert frames[0].relative == Path("clip.avi/000000.jpg")
    for i, frame in enumerate(frames):
        assert frame.path == str(video)
        assert frame.pixels is not None
        assert frame.pixels.shape == (48, 64, 3)
        assert abs(int(frame.pixels.mean()) - 40 * i) < 4


@pytest.mark.skipif(os.name != "posix", reason="needs names that may be any bytes")
@pytest.mark.parametrize("name", ["http:clip.avi", "file:clip.avi", os.fsdecode(b"caf\xe9.avi")])
def test_a_video_may_have_any_name(video: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(video.parent)
    try:
        video.rename(name)
    except OSError:
        pytest.skip("names are text on this file system")
    frames = list(sources([name]))
    assert [(frame.path, frame.frame) for frame in frames] == [(name, i) for i in range(5)]


def test_a_video_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"nothing")
    (source,) = sources([str(path)])
    assert source == Source(str(path), Path(), error="not a video that can be decoded")


def noise(path: Path) -> Path:
    """Two seconds of noise: as large at the end as at the start."""
    clips = pytest.importorskip("clips")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (96, 160, 3), dtype=np.uint8) for _ in range(50)]
    return clips.save(path, pictures, codec="mjpeg" if path.suffix == ".avi" else "libx264")


def test_a_video_that_is_cut_off_gives_its_frames_and_says_so(tmp_path: Path) -> None:
    whole = noise(tmp_path / "whole.avi")
    assert [source.error for source in sources([str(whole)])] == [None] * 50
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    *frames, last = sources([str(cut)])
    assert [frame.frame for frame in frames] == list(range(len(frames)))
    assert 10 <= len(frames) <= 30
    assert last.error is not None
    assert re.fullmatch(r"cut off after \d\.\d of 2\.\d seconds", last.error)


def test_a_video_that_was_trimmed_is_whole(tmp_path: Path) -> None:
    """Its file has all frames, of which an edit list says that they are not shown."""
    av = pytest.importorskip("av")
    whole, trimmed = noise(tmp_path / "whole.mp4"), tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as container, av.open(str(trimmed), "w") as copy:
        (stream,) = container.streams
        taken = copy.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts = (t - round(1 / packet.time_base) for t in (packet.pts, packet.dts))
                packet.stream = taken
                copy.mux(packet)
    found = list(sources([str(trimmed)]))
    assert len(found) == 25
    assert {source.error for source in found} == {None}


def test_a_camera_that_is_not_there_is_an_error() -> None:
    (source,) = sources(["99"])
    assert source.path == "camera:99"
    assert source.error == "no such camera"


def test_a_long_number_is_no_camera() -> None:
    """OpenCV raises for what is no integer of C's."""
    (source,) = sources(["20240731184512"])
    assert source.error == "no such file or folder"


def test_a_file_named_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0").touch()
    assert found("0") == ["0"]


def test_a_folder_without_pictures_is_a_failure(photos: Path) -> None:
    (photos / "letters" / "old").mkdir(parents=True)
    (photos / "letters" / "old" / "letter.txt").touch()
    (told,) = sources(["letters"])
    assert (told.path, told.error) == ("letters", "no picture in this folder")
    (photos / "letters" / "old" / "3d.MPO").touch()
    assert [source.error for source in sources(["letters"])] == [None]


def test_a_folder_of_videos_has_videos_where_these_are_asked_for(photos: Path) -> None:
    (photos / "clips").mkdir()
    for name in ("a.3gp", "b.m2ts", "c.flv", "d.ts"):  # the last may be a program
        (photos / "clips" / name).touch()
    assert [s.error for s in sources(["clips"])] == ["no picture in this folder"]
    found = list(sources(["clips"], whole_videos=True))
    assert [Path(source.path).name for source in found] == ["a.3gp", "b.m2ts", "c.flv"]
    assert all(source.video for source in found)
