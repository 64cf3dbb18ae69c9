"""The input pictures of an archive: names are listed once, and files are prefetched for the detector."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from s3fd.archive.storage import READERS, Place, absolute, answering, is_local, local_path, place
from s3fd.inference.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES, Source, camera_number, sources, suffix
from s3fd.inference.threads import in_order

MEANING: dict[type[OSError], str] = {
    FileNotFoundError: "No such file or directory",
    PermissionError: "Permission denied",
    IsADirectoryError: "Is a directory",
}
"""Messages for errors about a single file. Any other error means that the storage does not answer."""


def listed(paths: Sequence[str]) -> Iterator[str]:
    """Yield the names of all pictures in `paths`, as absolute local paths or URLs.

    A path is a file, a folder (searched recursively) or a pattern, on this machine or at a URL. Names come in
    the order of `paths`, sorted within each. Only the names of one folder, or those that match a pattern at a
    URL, are held in memory at a time.

    Raises:
        OSError: a path does not exist or cannot be listed.
        ValueError: a path is a video or a camera, or a URL with an unknown protocol.
        ImportError: the package for a URL's protocol is missing.
    """
    for path in paths:
        if not is_local(path):
            with answering(path):
                yield from _at_url(path)
            continue
        path = local_path(path)
        if _is_camera(path) or suffix(path) in VIDEO_SUFFIXES:
            raise ValueError(
                f"{path}: archives are for pictures only; process videos and cameras without --output"
            )
        for source in sources([path]):
            if source.error is not None and source.path == path:
                raise FileNotFoundError(f"{path}: {source.error}")
            if suffix(source.path) not in VIDEO_SUFFIXES:
                yield absolute(source.path)


def fetched(names: Iterable[str], paths: Sequence[str] = ()) -> Iterator[Source]:
    """Yield the pictures with these names, in order; `READERS` threads prefetch files that are not local.

    A file that is missing or not readable becomes a `Source` with an error. The `paths` are those in which
    the names were `listed`: with them, any name is found again, even one that means something in a URL.

    Raises:
        OSError: the storage does not answer.
    """
    places = [place(path) for path in paths if not is_local(path)]
    return in_order(partial(_fetch, places), names, READERS)


def _fetch(places: Sequence[Place], name: str) -> Source:
    """Return a picture with the bytes of its file. Local files are only opened when they are decoded."""
    if is_local(name):
        return Source(name, Path())
    known = ((there.system, there.path_of(name)) for there in places)
    system, path = next(((system, path) for system, path in known if path is not None), (None, name))
    try:
        with answering(name):
            if system is None:
                there = place(name)
                system, path = there.system, there.path
            return Source(name, Path(), data=bytes(system.cat_file(path)))
    except tuple(MEANING) as error:
        return Source(name, Path(), error=error.strerror or MEANING[type(error)])


def _at_url(url: str) -> Iterator[str]:
    """Yield the names of the pictures at one URL."""
    there = place(url)
    system, path = there.system, there.path
    if system.isfile(path):
        found: Iterable[str] = [path]
    elif glob.has_magic(path):
        found = sorted(name for name in system.glob(path) if suffix(name) in PICTURE_SUFFIXES)
        if not found:
            raise FileNotFoundError(f"{url}: no picture matches this pattern")
    elif system.exists(path):
        found = _walk(system, path)
    else:
        raise FileNotFoundError(f"{url}: no such file or folder")
    yield from map(there.url, found)


def _walk(system: Any, folder: str) -> Iterator[str]:
    """Yield the pictures in a folder, sorted, then those in its subfolders; skip hidden files and folders."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        told = system.ls(folder, detail=True)
        system.invalidate_cache(folder)  # fsspec would keep the names of all folders
        entries = sorted((entry["name"].rstrip("/"), entry["type"]) for entry in told)
        entries = [
            (name, kind) for name, kind in entries if name != folder.rstrip("/")
        ]  # markers that S3 uses for folders
        shown = [(name, kind) for name, kind in entries if not name.rpartition("/")[2].startswith(".")]
        yield from (name for name, kind in shown if kind == "file" and suffix(name) in PICTURE_SUFFIXES)
        waiting += [name for name, kind in reversed(shown) if kind == "directory"]


def _is_camera(path: str) -> bool:
    """Whether an absolute path was made from a camera's number, not from that of a missing folder below."""
    name = os.path.basename(path)  # noqa: PTH119 (see sources)
    return camera_number(name) is not None and absolute(name) == absolute(path)
