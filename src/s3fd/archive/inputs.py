"""The pictures of an archive: their names listed once, and their files fetched ahead of the detector."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from s3fd.archive.storage import READERS, absolute, answering, file_system, is_local, local_path
from s3fd.inference.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES, Source, sources
from s3fd.inference.threads import in_order

MAGIC = re.compile(r"[*?\[]")

MEANING: dict[type[OSError], str] = {
    FileNotFoundError: "No such file or directory",
    PermissionError: "Permission denied",
    IsADirectoryError: "Is a directory",
}
"""What a storage says of one file, in words. Anything else that it raises says that it does not answer."""


def listed(paths: Sequence[str]) -> Iterator[str]:
    """Names of all pictures of `paths`, in order, sorted within each: absolute local paths, and URLs.

    A path is a file, a folder with everything below it, or a pattern, here or at a URL. One folder's names
    are held in memory at a time.

    Raises:
        OSError: a path does not exist or cannot be listed.
        ValueError: a video or a camera, or a URL of a kind that is not known.
        ImportError: the package of a kind of URL is missing.
    """
    for path in paths:
        if not is_local(path):
            with answering(path):
                yield from _at_url(path)
            continue
        path = local_path(path)
        camera = os.path.basename(path).isdecimal() and not os.path.lexists(path)  # noqa: PTH119 (see sources)
        if camera or _suffix(path) in VIDEO_SUFFIXES:
            raise ValueError(f"{path}: an archive is of pictures; videos and cameras go without --output")
        for source in sources([path]):
            if source.error is not None and source.path == path:
                raise FileNotFoundError(f"{path}: {source.error}")
            if _suffix(source.path) not in VIDEO_SUFFIXES:
                yield absolute(source.path)


def fetched(names: Iterable[str]) -> Iterator[Source]:
    """The pictures of these names, in order; files that are not local are read ahead by `READERS` threads.

    One that is gone or may not be read becomes a `Source` with an error.

    Raises:
        OSError: the storage does not answer.
    """
    return in_order(_fetch, names, READERS)


def _fetch(name: str) -> Source:
    """A picture with the bytes of its file, or one of a local file, which is opened where it is decoded."""
    if is_local(name):
        return Source(name, Path())
    system, path = file_system(name)
    try:
        with answering(name):
            return Source(name, Path(), data=bytes(system.cat_file(path)))
    except tuple(MEANING) as error:
        return Source(name, Path(), error=error.strerror or MEANING[type(error)])


def _at_url(url: str) -> Iterator[str]:
    """Names of the pictures of one URL."""
    system, path = file_system(url)
    if MAGIC.search(path):
        found = sorted(name for name in system.glob(path) if _suffix(name) in PICTURE_SUFFIXES)
        if not found:
            raise FileNotFoundError(f"{url}: no picture matches this pattern")
    elif system.isfile(path):
        found = [path]
    elif system.exists(path):
        yield from (system.unstrip_protocol(name) for name in _walk(system, path))
        return
    else:
        raise FileNotFoundError(f"{url}: no such file or folder")
    yield from (system.unstrip_protocol(name) for name in found)


def _walk(system: Any, folder: str) -> Iterator[str]:
    """Pictures in a folder, sorted, then those of the folders in it; nothing that is hidden."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        told = system.ls(folder, detail=True)
        entries = sorted((entry["name"].rstrip("/"), entry["type"]) for entry in told)
        entries = [
            (name, kind) for name, kind in entries if name != folder.rstrip("/")
        ]  # S3's marks of folders
        shown = [(name, kind) for name, kind in entries if not name.rpartition("/")[2].startswith(".")]
        yield from (name for name, kind in shown if kind == "file" and _suffix(name) in PICTURE_SUFFIXES)
        waiting += [name for name, kind in reversed(shown) if kind == "directory"]


def _suffix(name: str) -> str:
    """Suffix of a file name in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a URL is no Path)
