"""The pictures that a user's PATHs stand for: files, folders, patterns, videos and cameras.

Everything here is a generator: a folder of a million pictures takes no more memory than its file names.
"""

# os.path, because unlike pathlib it does not raise on a name that is too long or a folder that may not be
# entered, and its abspath does not resolve links.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH118, PTH120, PTH122

from __future__ import annotations

import glob
import math
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np

from s3fd.inference.pictures import Pixels
from s3fd.video.frames import cut_off

# fmt: off
PICTURE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".mpo", ".pbm", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})
"""Suffixes of files in a folder that count as pictures; a file that is named explicitly is always tried."""

VIDEO_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm",
    ".wmv",
})
"""Suffixes of files that count as videos."""

COUNTED_SUFFIXES = frozenset({".avi", ".m4v", ".mov", ".mp4"})
"""Suffixes of videos that declare their number of frames; for others, OpenCV guesses it."""
# fmt: on

MOST_DIGITS = 9
"""Digits of a camera's number, at most. OpenCV's are C's integers; a longer one is the name of a file, such
as the time when it was made."""


@dataclass(frozen=True)
class Source:
    """A picture to come, a frame of a video, or a PATH that cannot be read.

    Attributes:
        path: as reported; for a camera, ``camera:`` and its number.
        relative: path of its output files below an output folder; no two pictures share it.
        pixels: of a frame, (H, W, 3) uint8 BGR; None for a file that is still to be decoded.
        frame: number of the frame, from 0.
        time: of the frame, in seconds from the start.
        error: why there is no picture.
        video: whether this is a whole video, whose frames are not yet decoded.
        data: the content of the file, if `path` is not on this machine, or a pipe, which can be read once.
    """

    path: str
    relative: Path
    pixels: Pixels | None = None
    frame: int | None = None
    time: float | None = None
    error: str | None = None
    video: bool = False
    data: bytes | None = None

    def in_the_way(self, copy: Path, folder: Path) -> str | None:
        """Say why `copy` may not be written to `folder`: it would replace an original. None if it would not.

        A link into the folder is refused too: the copy of another picture may have the name of its target.
        """
        if self.data is not None or not os.path.exists(self.path):  # such as a camera
            return None
        if os.path.exists(copy) and copy.samefile(self.path):
            return f"{copy} is the original {'video' if self.video else 'picture'}; it was left unchanged"
        if not Path(self.path).is_symlink():
            return None
        if Path(os.path.realpath(self.path)).is_relative_to(os.path.realpath(folder)):
            return f"links into {folder}, where a copy could overwrite an original; choose another folder"
        return None


def sources(
    paths: Sequence[str], exclude: Collection[str | os.PathLike[str]] = (), *, whole_videos: bool = False
) -> Iterator[Source]:
    """Yield every picture of `paths`, in order; the pictures of a folder or pattern are sorted by name.

    A path is a file, a folder (with everything below it except hidden entries and linked folders), a pattern
    with ``*``, ``?``, ``[…]`` or ``**``, a video, or the number of a camera, whose frames never end. A path
    that does not exist or cannot be opened becomes a `Source` with an error. The folders in `exclude` are not
    entered. With `whole_videos`, a video is one source instead of one per frame, and videos in folders are
    included.
    """
    base = common_base(paths)
    outside = {os.path.realpath(folder) for folder in exclude}
    for path in paths:
        for source in _expand(path, outside, whole_videos):
            if isinstance(source, Source):
                yield source
            else:
                yield from _file(source, base, whole_videos)


def common_base(paths: Sequence[str]) -> str | None:
    """The deepest folder that contains everything in `paths`; None if they are on several drives.

    Names in an output folder are relative to it, so that no two pictures of a run share a name.
    """
    folders = []
    for path in paths:
        if os.path.isdir(path):
            folders.append(os.path.abspath(path))
        elif is_pattern(path):
            folders.append(os.path.abspath(_split_pattern(path)[0]))
        else:
            folders.append(os.path.dirname(os.path.abspath(path)))
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def suffix(path: str) -> str:
    """Suffix of a file name or URL in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def is_one_picture(path: str) -> bool:
    """Whether a path is a file with a single picture, not a folder, video or pattern."""
    return os.path.isfile(path) and suffix(path) not in VIDEO_SUFFIXES


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern of file names; a path that exists is not one."""
    return glob.has_magic(path) and not os.path.lexists(path)


def is_known(path: str) -> bool:
    """Whether a file is a picture or a video by its suffix."""
    return suffix(path) in PICTURE_SUFFIXES | VIDEO_SUFFIXES


def camera_number(path: str) -> int | None:
    """The number of the camera that a path stands for; None if it is a file, or no number of a camera."""
    if not (path.isascii() and path.isdigit()) or os.path.lexists(path):
        return None
    return int(path) if len(path) <= MOST_DIGITS else None


def _expand(path: str, exclude: Collection[str], videos: bool) -> Iterator[str | Source]:
    """Yield the file names and failures that one PATH stands for, or the frames of a camera."""
    if os.path.isdir(path):
        below = _walk(path, exclude, PICTURE_SUFFIXES | VIDEO_SUFFIXES if videos else PICTURE_SUFFIXES)
        yield from _or_failure(below, path, "no picture in this folder")
    elif os.path.lexists(path):
        yield path
    elif (number := camera_number(path)) is not None:
        yield from _camera(number)
    elif glob.has_magic(path):
        root, parts = _split_pattern(path)
        matches = (match for match in _match(root, parts, exclude) if is_known(match))
        yield from _or_failure(matches, path, "no picture matches this pattern")
    else:
        yield _failure(path, "no such file or folder")


def _or_failure(found: Iterator[str | Source], path: str, reason: str) -> Iterator[str | Source]:
    """Yield what was found, or a failure with `reason` if nothing was."""
    first = next(found, None)
    yield first if first is not None else _failure(path, reason)
    yield from found


def _failure(path: str, reason: str) -> Source:
    """The source that represents a PATH without a picture."""
    return Source(path, Path(), error=reason)


def _file(path: str, base: str | None, whole_videos: bool) -> Iterator[Source]:
    """Yield the picture in a file, or a video, whole or frame by frame."""
    absolute = Path(os.path.abspath(path))
    relative = absolute.relative_to(base if base is not None else absolute.anchor)
    if suffix(path) in VIDEO_SUFFIXES and not whole_videos:
        yield from _video(path, relative)
    else:
        video = suffix(path) in VIDEO_SUFFIXES
        data = Path(path).read_bytes() if not video and Path(path).is_fifo() else None
        yield Source(path, relative, video=video, data=data)


def _walk(folder: str, exclude: Collection[str], suffixes: Collection[str]) -> Iterator[str | Source]:
    """Yield the files of a folder with these suffixes, sorted, then those of its subfolders, one by one."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        if os.path.realpath(folder) in exclude:
            continue
        try:
            entries = _entries(folder)
        except OSError as error:
            yield _failure(folder, error.strerror or "cannot be listed")
            continue
        for entry in entries:
            if suffix(entry.name) in suffixes and _to_open(entry):
                yield entry.path
        waiting += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Entries of a folder, sorted by name, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _to_open(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a broken link, for which opening it reports the error."""
    try:
        return entry.is_file() or not os.path.exists(entry.path)
    except OSError:  # a loop of links, or a folder on the path that may not be entered
        return True


def _split_pattern(pattern: str) -> tuple[str, list[str]]:
    """Split a pattern into the folder at its beginning and the parts from the first wildcard on."""
    parts = Path(pattern).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return os.path.join(*parts[:first]) if first else "", list(parts[first:])


def _match(folder: str, parts: list[str], exclude: Collection[str]) -> Iterator[str]:
    """Yield the files below `folder` that match a pattern's `parts`, sorted.

    Unlike `glob.glob`, ``**`` does not follow links to folders: the search in a loop of links would not end.
    """
    if os.path.realpath(folder) in exclude:
        return
    head, rest = parts[0], parts[1:]
    try:
        entries = _entries(folder or ".")
    except OSError:  # as in a shell: what cannot be listed matches nothing
        return
    if head == "**":
        yield from _match(folder, rest or ["*"], exclude)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _match(os.path.join(folder, entry.name), parts, exclude)
        return
    for entry in entries:
        if not fnmatch(entry.name, head):
            continue
        path = os.path.join(folder, entry.name)
        if rest and os.path.isdir(path):
            yield from _match(path, rest, exclude)
        elif not rest and _to_open(entry):
            yield path


def _video(path: str, relative: Path) -> Iterator[Source]:
    """Yield the frames of a video file, then a failure if it is cut off or cannot be decoded."""
    capture = _capture(path)
    try:
        count, seconds = 0, 0.0
        while True:
            more, pixels = capture.read()
            if not more:
                break
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            yield _frame(path, relative, pixels, count, seconds)
            count += 1
        if not count:
            yield _failure(path, "not a video that can be decoded")
        elif reason := _cut_off(path, capture, count, seconds):
            yield _failure(path, reason)
    finally:
        capture.release()


def _capture(path: str) -> cv2.VideoCapture:
    """Open a video file by its absolute path.

    A relative path, such as ``http:a.mp4``, may look like a URL. OpenCV crashes on a name that is not valid
    text: such a file is opened through a temporary link with another name.
    """
    path = os.path.abspath(path)
    try:
        path.encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, f"video{suffix(path)}")
            link.symlink_to(path)
            return cv2.VideoCapture(str(link))
    return cv2.VideoCapture(path)


def _cut_off(path: str, capture: cv2.VideoCapture, count: int, latest: float) -> str | None:
    """Say how much is missing from a video that gave `count` frames, the last at `latest` seconds.

    None if nothing is missing, or if that is unknown. Frames that the file has but does not show, such as
    those before the point to which a phone trimmed it, count as present: if there are too few frames, packets
    are counted instead.
    """
    declared, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    if suffix(path) not in COUNTED_SUFFIXES or not rate > 0:
        return None
    end = latest + 1 / rate
    missing = min((declared - count) / rate, declared / rate - end)
    if cut_off(end, missing) is None:
        return None
    return cut_off(end, min(missing, (declared - _packets(path)) / rate))


def _packets(path: str) -> float:
    """Number of video packets in a file; infinity if this OpenCV cannot count them."""
    capture = _capture(path)
    try:
        if not capture.set(cv2.CAP_PROP_FORMAT, -1):  # packets as they are, not decoded
            return math.inf
        count = 0
        while capture.grab():
            count += 1
        return count
    finally:
        capture.release()


def _camera(index: int) -> Iterator[Source]:
    """Yield the frames of a camera until it stops, then a failure."""
    name = f"camera:{index}"
    capture = cv2.VideoCapture(index)
    try:
        start, count = time.monotonic(), 0
        while True:
            more, pixels = capture.read()
            if not more:
                break
            yield _frame(name, Path(f"camera-{index}"), pixels, count, time.monotonic() - start)
            count += 1
        yield _failure(name, "the camera stopped" if count else "no such camera")
    finally:
        capture.release()


def _frame(path: str, relative: Path, pixels: object, number: int, seconds: float) -> Source:
    """The source for one decoded frame; its output goes into a folder named after the video."""
    return Source(
        path, relative / f"{number:06d}.jpg", np.asarray(pixels, dtype=np.uint8), number, round(seconds, 3)
    )
