from __future__ import annotations

import sys
import threading
import time
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
from square_finder import SquareFinder

import s3fd
from s3fd.video import follow as follow_module
from s3fd.video.camera import Camera
from s3fd.video.follow import Follower, Following, TrackedFrame, track
from s3fd.video.frames import Frame, VideoError, VideoFormat
from s3fd.video.summary import Summary

FORMAT = VideoFormat(*clips.SIZE, Fraction(25))


def follow(
    places: Sequence[clips.Place],
    count: int = 50,
    runtime: SquareFinder | None = None,
    colours: Sequence[str] = ("red",),
    attributes: tuple[str, ...] = (),
    min_probability: float = 0.0,
    **options: object,
) -> list[TrackedFrame]:
    """Follow squares through frames that need no file."""
    detector = clips.detector(runtime, attributes=attributes, min_probability=min_probability)
    follower = Follower(detector, FORMAT, Following(**options))  # type: ignore[arg-type]
    given = []
    for number, pixels in enumerate(clips.frames(places, count, colours=colours)):
        given += follower.add(Frame(pixels, number, number / 25))
    return given + list(follower.rest())


def numbers(frames: Sequence[TrackedFrame]) -> list[list[int]]:
    return [sorted(frame.faces.attributes["track"].tolist()) for frame in frames]


def right(t: int) -> tuple[float, float]:
    return 2 * t, 10


def left(t: int) -> tuple[float, float]:
    return 120 - 2 * t, 60


@pytest.mark.parametrize("every", [1, 2, 3, 5])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.5])
def test_every_frame_comes_with_the_same_faces(every: int, delay: float) -> None:
    frames = follow([right, left], every=every, delay=delay)
    assert [frame.number for frame in frames] == list(range(50))
    begin = 0 if delay > every / 25 else every
    assert all(found == [1, 2] for found in numbers(frames)[begin:])
    for frame in frames[begin : 50 - every]:
        order = np.argsort(frame.faces.boxes[:, 1])
        expected = [[x, y, x + 24, y + 24] for x, y in (right(frame.number), left(frame.number))]
        np.testing.assert_allclose(frame.faces.boxes[order], expected, atol=1.01)
        assert frame.faces.attributes["detected"].tolist() == [frame.number % every == 0] * 2


def test_only_one_frame_in_so_many_is_looked_at() -> None:
    runtime = SquareFinder()
    follow([right], runtime=runtime, every=3)
    assert len(runtime.shapes) == 17


def test_a_short_gap_is_filled_and_a_longer_one_is_not_but_the_number_stays() -> None:
    short = follow([right], runtime=clips.Blinking(blind=range(20, 28)))
    assert numbers(short) == [[1]] * 50
    assert [f.number for f in short if not f.faces.attributes["detected"].all()] == list(range(20, 28))
    for frame in short:
        np.testing.assert_allclose(frame.faces.boxes[0, 0], right(frame.number)[0], atol=1.01)
    longer = follow([right], runtime=clips.Blinking(blind=range(20, 40)))
    assert numbers(longer) == [[1]] * 20 + [[]] * 20 + [[1]] * 10


def test_a_face_that_was_away_for_longer_than_the_gap_is_another() -> None:
    frames = follow([right], runtime=clips.Blinking(blind=range(20, 40)), gap=0.4)
    assert numbers(frames) == [[1]] * 20 + [[]] * 20 + [[2]] * 10


@pytest.mark.parametrize(("every", "rate"), [(1, 5), (1, 25), (10, 25), (50, 25)])
def test_every_track_ends_once(every: int, rate: int) -> None:
    """Also where a slow network sees few of a camera's frames."""
    detector = clips.detector(clips.Blinking(blind=[2, 3, *range(12, 20)]))
    following = Following(every, delay=0)
    follower, summary, ended = Follower(detector, FORMAT, following), Summary(following.gap), []
    for number, pixels in enumerate(clips.frames([lambda t: (50, 40)], 30 * every)):
        for frame in follower.add(Frame(pixels, number, number / rate)):
            ended += [track.number for track in summary.add(frame)]
    ended += [track.number for track in summary.rest()]
    assert ended == sorted(set(ended))


def test_a_low_score_goes_on_with_a_track_but_does_not_begin_one() -> None:
    fading = follow([right], runtime=clips.Blinking(weak=range(20, 50)))
    assert numbers(fading) == [[1]] * 50
    assert numbers(follow([right], runtime=clips.Blinking(weak=range(50)))) == [[]] * 50


def test_what_is_seen_once_is_no_track() -> None:
    frames = follow([lambda t: (50, 50) if t == 20 else None])
    assert numbers(frames) == [[]] * 50


def test_a_video_of_one_frame_has_its_faces() -> None:
    assert numbers(follow([right], count=1)) == [[1]]


def test_attributes_are_those_of_the_whole_track_so_far() -> None:
    class Colour(SquareFinder):
        def __call__(self, pictures: np.ndarray, attributes: Sequence[str] = ()) -> object:
            found = super().__call__(pictures, attributes)
            sure = 0.9 if len(self.shapes) % 3 else 0.2  # a third of the answers are wrong
            told = np.tile(np.array([sure, 1 - sure], np.float32), (1, found.scores.shape[1], 1))
            return found._replace(attributes={"colour": told})

    frames = follow([right], runtime=Colour(), attributes=("colour",))
    assert {frame.faces.attributes["colour"][0] for frame in frames} == {"red"}
    assert frames[-1].faces.attributes["colour_probability"] == pytest.approx([(2 * 0.9 + 0.2) / 3], abs=0.02)
    unsure = follow([right], runtime=Colour(), attributes=("colour",), min_probability=0.8)
    assert unsure[-1].faces.attributes["colour"].tolist() == [None]


def test_hiding_reaches_before_and_after_what_was_seen_once() -> None:
    frames = follow([lambda t: (70, 40) if t == 50 else None], count=120, hiding=True)
    hidden = [frame.number for frame in frames if len(frame.faces)]
    assert hidden == list(range(50 - 12, 50 + 25 + 1))
    sizes = {frame.number: float(frame.faces.sizes[0]) for frame in frames if len(frame.faces)}
    assert sizes[50] == pytest.approx(24)
    assert sizes[45] == pytest.approx(24 * 1.4)
    assert sizes[60] == pytest.approx(24 * 1.8)


def test_what_is_seen_once_and_unsure_is_hidden_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "SURE", 1.1)
    once = follow([lambda t: (70, 40) if t == 50 else None], count=120, delay=1.0, hiding=True)
    assert [frame.number for frame in once if len(frame.faces)] == [50]
    twice = follow([lambda t: (70, 40) if t in (50, 51) else None], count=120, delay=1.0, hiding=True)
    assert [frame.number for frame in twice if len(frame.faces)] == list(range(50 - 12, 51 + 25 + 1))


def test_hiding_leaves_no_gap_while_a_face_is_lost() -> None:
    frames = follow([right], count=50, runtime=clips.Blinking(blind=range(10, 34)), delay=1.0, hiding=True)
    for frame in frames:
        x, y = right(frame.number)
        covered = [
            box for box in frame.faces.boxes.tolist() if box[0] <= x + 1 and box[2] >= min(x + 23, 160)
        ]
        assert covered, frame.number
        assert all(box[1] <= y + 1 and box[3] >= y + 23 for box in covered)


def test_frames_wait_no_longer_than_their_size_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "MOST_WAITING", 5 * 96 * 160 * 3)
    follower = Follower(clips.detector(), FORMAT, Following(delay=100.0))
    given = 0
    for number, pixels in enumerate(clips.frames([right], 60)):
        given += len(list(follower.add(Frame(pixels, number, number / 25))))
        assert number + 1 - given <= 5
    assert given + len(list(follower.rest())) == 60


def test_memory_stays_flat(tmp_path: Path) -> None:
    def here_and_gone(t: int) -> tuple[float, float] | None:
        return (3 * (t % 50), 20 + 20 * (t // 50 % 3)) if t % 50 < 40 else None

    path = clips.save(tmp_path / "a.mp4", clips.frames([here_and_gone], 700))
    early = late = 0
    tracemalloc.start()
    try:
        for frame in track(path, clips.detector(), every=2, delay=0.2, gap=0.2):
            if frame.number == 200:
                early = tracemalloc.get_traced_memory()[0]
            if frame.number == 650:
                late = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert early > 0
    assert late - early < 200_000  # four frames; without forgetting, 450 frames are 20 MB
    assert frame.number == 699


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"delay": -1.0}, {"gap": -0.1}, {"delay": float("inf")}, {"gap": float("nan")}]
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"every|delay|gap"):
        track("a.mp4", clips.detector(), **options)  # type: ignore[arg-type]


def test_a_detector_and_its_options_do_not_go_together() -> None:
    with pytest.raises(TypeError, match="size"):
        track("a.mp4", clips.detector(), size="vga")


@pytest.mark.parametrize("missing", ["av", "norfair"])
def test_a_missing_package_is_told_with_what_brings_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{missing} is not installed.*s3fd\[video\]") as raised:
        track(tmp_path / "a.mp4")
    assert raised.value.name == missing


def test_the_public_name_follows_a_file(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([right, left], 20))
    frames = list(s3fd.track(path, clips.detector(attributes=("colour",))))
    assert numbers(frames) == [[1, 2]] * 20
    assert frames[7].time == pytest.approx(7 / 25)
    assert frames[7].pixels.shape == (96, 160, 3)


def test_a_cameras_frames_do_not_grow_old() -> None:
    capture = clips.Capture(100)
    with Camera(0, capture) as camera:
        frames = follow_module.follow(camera, clips.detector(), Following(delay=0))
        with pytest.raises(VideoError, match="the camera stopped"):
            for frame in frames:
                assert capture.given - int(frame.pixels[0, 0, 0]) <= 3
                time.sleep(0.03)
    assert capture.given == 100


def test_a_video_that_is_cut_off_gives_all_frames_first(tmp_path: Path) -> None:
    whole = clips.save(tmp_path / "whole.avi", clips.frames([right], 50), codec="mjpeg").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    seen = []
    with pytest.raises(s3fd.VideoError, match="cut off"):
        for frame in track(cut, clips.detector()):
            seen.append(frame.number)
    assert seen == list(range(len(seen)))
    assert len(seen) > 10
    with pytest.raises(VideoError, match="No such file"):
        next(track(tmp_path / "missing.mp4", clips.detector()))


def test_who_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    path = clips.save(tmp_path / "a.mp4", clips.frames([right], 50))
    before = threading.active_count()
    frames = track(path, clips.detector())
    next(frames)
    frames.close()
    assert threading.active_count() == before
