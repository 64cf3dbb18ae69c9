"""The commands as a user runs them on videos: in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest

from s3fd.inference.pictures import Pixels, read
from s3fd.video.reading import VideoFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
SIZE = 320, 180


def run(
    command: str, *arguments: object, cwd: Path | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "s3fd", command, *(str(argument) for argument in arguments)]
    answer = subprocess.run(line, capture_output=True, text=True, cwd=cwd, encoding="utf-8", timeout=300)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    return answer


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def frames(count: int = 16) -> Iterator[Pixels]:
    """Two views of the example photograph that move past each other, one of them mirrored."""
    face = cv2.resize(read(EXAMPLE)[0:220, 110:330], (110, 110))
    for number in range(count):
        pixels = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        left, right, top = 10 + 3 * number, 190 - 2 * number, 20 + number
        pixels[top : top + 110, left : left + 110] = face
        pixels[40:150, right : right + 110] = face[:, ::-1]
        yield pixels


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.save(tmp_path_factory.mktemp("video") / "party.mp4", frames(), sound="aac")


def test_faces_are_followed_and_drawn(video: Path, tmp_path: Path) -> None:
    options = ["--every", 2, "--attributes", "gender", "--out", "tracked.mp4", "--json", "frames.jsonl"]
    answer = run("track", video, *options, cwd=tmp_path)
    assert answer.stderr == ""
    tracks = lines(answer.stdout)
    assert [track["track"] for track in tracks] == [1, 2]
    for track in tracks:
        assert (track["path"], track["first"], track["last"]) == (str(video), 0, 15)
        assert (track["frames"], track["detections"]) == (16, 8)
        assert track["end"] == pytest.approx(15 / 25)
        assert track["gender"] in ("female", "male")
        assert 0.5 <= track["gender_probability"] <= 1
    told = lines((tmp_path / "frames.jsonl").read_text(encoding="utf-8"))
    assert [line["frame"] for line in told] == list(range(16))
    for line in told:
        assert sorted(face["track"] for face in line["faces"]) == [1, 2]
        assert {face["detected"] for face in line["faces"]} == {line["frame"] % 2 == 0}
        assert (line["width"], line["height"]) == SIZE
    with VideoFile(tmp_path / "tracked.mp4") as copy:
        drawn = [frame.pixels.astype(int) for frame in copy]
    assert len(drawn) == 16
    for line, pixels, plain in zip(told, drawn, frames(), strict=True):
        x1, y1, _, y2 = (round(v) for v in line["faces"][0]["box"])
        assert np.abs(pixels[y1:y2, x1 : x1 + 2] - plain[y1:y2, x1 : x1 + 2]).mean() > 30
        assert np.abs(pixels[160:] - plain[160:]).mean() < 5


def test_faces_are_hidden_and_the_rest_stays(video: Path, tmp_path: Path) -> None:
    answer = run("anonymize", video, EXAMPLE, "--out", tmp_path / "out", "--mode", "fill", "--size", "vga")
    record, picture = lines(answer.stdout)
    assert record["path"] == str(video)
    assert (record["frames"], record["sound"]) == (16, True)
    assert len([face for face in record["faces"] if face["detections"] == 16]) == 2
    assert Path(picture["out"]).is_file()
    hidden = pixels_of(Path(record["out"]))
    for number, (copy, plain) in enumerate(zip(hidden, frames(), strict=True)):
        for left, top in ((10 + 3 * number, 20 + number), (190 - 2 * number, 40)):
            face = copy[top + 42 : top + 62, left + 47 : left + 63]
            assert np.abs(face - 127).mean() < 12, number
        assert np.abs(copy[165:] - plain[165:]).mean() < 5, number


def pixels_of(path: Path) -> list[np.ndarray]:
    with VideoFile(path) as video:
        return [frame.pixels.astype(int) for frame in video]


def test_a_folder_gives_its_videos_too(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    clips.save(tmp_path / "in" / "deep" / "a.avi", clips.frames([], 3), codec="mjpeg")
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.zeros((32, 32, 3), np.uint8))
    options = ["--out", "out", "--weights", tiny, "--size", "original", "--no-sound"]
    answer = run("anonymize", "in", *options, cwd=tmp_path)
    assert [line["out"] for line in lines(answer.stdout)] == ["out/b.png", "out/deep/a.avi.mp4"]
    assert sorted(str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*.*")) == [
        "b.png",
        "deep/a.avi.mp4",
    ]


def test_what_cannot_be_read_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("nothing")
    for path, reason in (
        ("broken.mp4", "not a video that can be decoded"),
        ("missing.mp4", "No such file or directory"),
    ):
        answer = run("track", path, "--out", "out.mp4", cwd=tmp_path, code=1)
        assert lines(answer.stdout) == [{"path": path, "error": reason}]
        assert answer.stderr == f"s3fd: {path}: {reason}\n"
    assert not (tmp_path / "out.mp4").exists()
    (tmp_path / "before.jsonl").write_text("before")
    run("track", "broken.mp4", "--json", "before.jsonl", cwd=tmp_path, code=1)
    assert (tmp_path / "before.jsonl").read_text() == "before"
    answer = run("anonymize", "broken.mp4", "--out", "hidden", cwd=tmp_path, code=1)
    assert lines(answer.stdout) == [{"path": "broken.mp4", "error": "not a video that can be decoded"}]


def test_a_video_that_is_cut_off_is_followed_to_its_end(tmp_path: Path) -> None:
    whole = clips.save(tmp_path / "whole.avi", frames(50), codec="mjpeg").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    answer = run("track", "cut.avi", "--out", "out.mp4", cwd=tmp_path, code=1)
    *tracks, failure = lines(answer.stdout)
    assert len(tracks) == 2
    assert failure["error"].startswith("cut off after ")
    assert len(pixels_of(tmp_path / "out.mp4")) == tracks[0]["frames"] > 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.gif"], "--out: a.gif must end in one of .m4v, .mkv, .mov, .mp4"),
        (["--out", "missing/a.mp4"], "--out: missing/a.mp4 must be a file in an existing folder"),
        (["--json", "."], "--json: . must be a file in an existing folder"),
        (["--out", "party.mp4"], "--out: party.mp4 is the input video; choose another file"),
        (["--json", "other.mp4"], "--json: other.mp4 is an existing picture or video; choose another file"),
        (["--size", "small"], "--size: "),
        (["--gap", "inf"], "--gap: inf is too large, or not a number"),
        (["--attributes", "mood"], "--attributes: these weights do not predict 'mood'"),
    ],
)
def test_wrong_calls(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "party.mp4").write_text("before")
    (tmp_path / "other.mp4").touch()
    answer = run("track", "party.mp4", *arguments, cwd=tmp_path, code=2)
    assert answer.stderr.startswith(f"s3fd: {message}")
    assert answer.stdout == ""
    assert (tmp_path / "party.mp4").read_text() == "before"


def test_without_the_extra_it_says_what_to_install(video: Path, tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['av'] = sys.modules['norfair'] = None; from s3fd.cli import app; app()"
    for arguments, code, message in (
        (["track", video], 2, "av is not installed; this command needs it: pip install 's3fd[video]'"),
        (
            ["anonymize", video, "--out", "out"],
            1,
            f"{video}: av is not installed; videos need it: pip install 's3fd[video]'",
        ),
    ):
        line = [sys.executable, "-c", blocked, *map(str, arguments)]
        answer = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert answer.returncode == code
        assert answer.stderr == f"s3fd: {message}\n"
