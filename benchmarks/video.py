"""Measure frames per second from one video file to another, compared with plain decoding and encoding.

Run: python benchmarks/video.py --docs

Videos of 640 × 360 at 25 frames/s hold 1 and 10 copies of the example photograph's face, which move. Each is
timed in several rounds, of which the fastest counts: decoding and encoding alone; the same with faces tracked
and drawn; and with faces hidden. The detector sees every frame, every second or every third. Decoder, network
and encoder have threads of their own, as in the commands. Processor time, of all threads together, is
meaningful on a busy machine too; frames per second are not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from documents import put

import s3fd
from s3fd.inference import pictures
from s3fd.inference.anonymize import Style, anonymize
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Pixels
from s3fd.inference.threads import Behind, ahead
from s3fd.video.follow import DECODED_AHEAD, GAP, Following, TrackedFrame
from s3fd.video.frames import VideoFormat
from s3fd.video.job import ENCODED_BEHIND, drawn, rewrite
from s3fd.video.reading import VideoFile
from s3fd.video.writing import VideoWriter

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
SIZE = (640, 360)
RATE = 25
FACE = (120, 20, 340, 240)
"""Left, top, right and bottom of the head in the example photograph."""

COUNTS = (1, 10)
EVERY = (1, 2, 3)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--threads", type=int, default=None, help="threads of the network (default: one per processor)"
    )
    parser.add_argument("--attributes", default="", help="attributes to predict too, such as gender")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/video.md")
    arguments = parser.parse_args()
    told = tuple(name for name in arguments.attributes.split(",") if name)
    detector = s3fd.load(threads=arguments.threads, attributes=told)
    rows = [
        "| faces | what | looked at | frames/s | × plain | × every frame | CPU ms a frame | tracks |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(rows))
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            path = make_video(Path(folder) / f"{count}.mp4", count, arguments.frames)
            for line in measure(path, Path(folder) / "out.mp4", detector, arguments.rounds):
                rows.append(f"| {count} | {line} |")
                print(rows[-1], flush=True)
    if arguments.docs:
        put("docs/video.md", "benchmarks/video.py", "\n".join(rows))


def make_video(path: Path, faces: int, count: int) -> Path:
    """Write a video of faces that move in circles, over the example photograph blurred."""
    photograph = pictures.read(EXAMPLE)
    left, top, right, bottom = FACE
    face = cv2.resize(photograph[top:bottom, left:right], (110, 110), interpolation=cv2.INTER_AREA)
    background = cv2.GaussianBlur(cv2.resize(photograph, SIZE), (0, 0), 40)
    video = VideoFormat(*SIZE, Fraction(RATE), time_base=Fraction(1, RATE))
    with VideoWriter(path, video) as writer:
        for number in range(count):
            writer.write(_frame(background, face, faces, number), number / RATE)
    return path


def _frame(background: Pixels, face: Pixels, faces: int, number: int) -> Pixels:
    """One frame: up to five faces in each of two rows."""
    pixels = np.array(background, dtype=np.uint8)
    for i in range(faces):
        x = 65 + 128 * (i % 5) + 8 * np.cos(number / 8 + i)
        y = 90 + 175 * (i // 5) + 20 * np.sin(number / 12 + i)
        left, top = round(x - 55), round(y - 55)
        pixels[top : top + 110, left : left + 110] = face if i % 2 else face[:, ::-1]
    return pixels


def measure(path: Path, out: Path, detector: Detector, rounds: int) -> Iterator[str]:
    """Yield the table rows of one video."""
    plain = best(lambda: copy(path, out), rounds)
    yield f"decode and encode | | {plain.rate:.1f} | 1.00 | | {plain.processor:.1f} | "

    def hidden(frame: TrackedFrame) -> Pixels:
        return anonymize(frame.pixels, frame.faces.boxes, Style())

    for what, change, hiding in (("track and draw", drawn, False), ("hide", hidden, True)):
        dense = 0.0
        for every in EVERY:
            following = Following(every, delay=GAP, hiding=True) if hiding else Following(every)
            speed = best(partial(run, path, out, detector, following, change), rounds)
            dense = dense or speed.rate
            ratios = f"{speed.rate / plain.rate:.2f} | {speed.rate / dense:.2f}"
            numbers = f"{speed.rate:.1f} | {ratios} | {speed.processor:.1f} | {speed.tracks}"
            yield f"{what} | 1 in {every} | {numbers}"


@dataclass(frozen=True)
class Speed:
    """Speed of a task in one round.

    Attributes:
        rate: frames per second.
        processor: milliseconds of processor time per frame.
        tracks: number of tracks.
    """

    rate: float
    processor: float
    tracks: int


def best(task: Callable[[], tuple[int, int]], rounds: int) -> Speed:
    """Return the fastest of some rounds of a task that returns its numbers of frames and tracks."""
    speeds = []
    for _ in range(rounds):
        start, busy = time.perf_counter(), time.process_time()
        frames, tracks = task()
        rate = frames / (time.perf_counter() - start)
        speeds.append(Speed(rate, 1000 * (time.process_time() - busy) / frames, tracks))
    return max(speeds, key=lambda speed: speed.rate)


def copy(path: Path, out: Path) -> tuple[int, int]:
    """Decode and encode a video, with the same threads as when faces are tracked."""
    count = 0
    with (
        VideoFile(path) as video,
        VideoWriter(out, video.format) as writer,
        Behind(ENCODED_BEHIND) as behind,
        closing(ahead(video, DECODED_AHEAD)) as frames,
    ):
        for frame in frames:
            behind.submit(writer.write, frame.pixels, frame.time)
            count += 1
    return count, 0


def run(
    path: Path,
    out: Path,
    detector: Detector,
    following: Following,
    change: Callable[[TrackedFrame], Pixels],
) -> tuple[int, int]:
    """Track the faces of a video and write the frames that `change` returns."""
    count, tracks = 0, set[int]()
    with VideoFile(path) as video:
        writer = VideoWriter(out, video.format)
        for frame in rewrite(video, detector, following, writer, change):
            count += 1
            tracks.update(frame.faces.attributes["track"].tolist())
    return count, len(tracks)


if __name__ == "__main__":
    main()
