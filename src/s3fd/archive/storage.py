"""Folders on this machine, in an object store, or anywhere else that fsspec reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3fd.weights.atomic import write_atomically

READERS = 16
"""Number of files fetched at the same time. A request to an object store takes some tens of milliseconds,
about as long as the network takes for a picture on one CPU. This many requests keep several CPUs busy."""

LOCAL = ("file://", "local://")
"""Prefixes of the URL of a local file."""


def is_local(path: str) -> bool:
    """Whether a path is on this machine, rather than a URL such as ``s3://bucket/folder``."""
    return "://" not in path or path.startswith(LOCAL)


def local_path(path: str) -> str:
    """Return a local path without a URL prefix."""
    return path.split("://", 1)[1] if path.startswith(LOCAL) else path


def absolute(path: str) -> str:
    """Make a local path absolute, valid from any working directory; return a URL unchanged."""
    return os.path.abspath(local_path(path)) if is_local(path) else path  # noqa: PTH100 (leaves links alone)


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system (`fsspec.AbstractFileSystem`) of a URL or local path, and the path in it.

    Raises:
        ImportError: the package for this kind of file system, such as s3fs, is missing.
        ValueError: fsspec does not know this kind of file system.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if is_local(url):  # url_to_fs would split it at "::", and replace "~"
        return LocalFileSystem(), Path(absolute(url)).as_posix()
    system, path = url_to_fs(url)
    return system, str(path)


@dataclass(frozen=True)
class Place:
    """Where a URL leads: a file system, and how the files that are listed in it are named by URLs.

    fsspec's own names of files drop a URL's host, such as that of ``sftp://host/photos``, and the archive
    around it, as in ``zip://photos::s3://bucket/a.zip``.

    Attributes:
        system: the file system (`fsspec.AbstractFileSystem`).
        path: the path in it.
        before: beginning of the URL of each of its files.
        after: ending of the URL of each of its files.
    """

    system: Any
    path: str
    before: str
    after: str

    def url(self, path: str) -> str:
        """Return the URL of a file of this file system."""
        return f"{self.before}{path}{self.after}"

    def path_of(self, url: str) -> str | None:
        """Return the path of a file with a URL from `url`, or None if it is of another file system."""
        if not (url.startswith(self.before) and url.endswith(self.after)):
            return None
        path = url[len(self.before) : len(url) - len(self.after)]
        return path if path.startswith("/") == self.path.startswith("/") else None  # else a longer host


def place(url: str) -> Place:
    """Return where a URL leads. Raises as `file_system` does."""
    system, path = file_system(url)
    links = url.split("::")  # of a chain, such as simplecache::s3://bucket/folder
    at = next((i for i, link in enumerate(links) if "://" in link), 0)
    protocol, mark, rest = links[at].partition("://")
    rest, end = rest.rstrip("/"), path.rstrip("/")
    if path.startswith(protocol + mark):  # of HTTP, paths are URLs
        own = ""
    else:
        own = protocol + mark + (rest[: len(rest) - len(end)] if rest.endswith(end) else "")
    return Place(system, path, "::".join([*links[:at], own]), "::".join(["", *links[at + 1 :]]))


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Convert the errors of a storage's own library, such as botocore, to OSError."""
    try:
        yield
    except (OSError, ImportError, ValueError):
        raise
    except Exception as error:  # these have no common base class
        raise OSError(f"{name}: {error}") from error


@dataclass(frozen=True)
class Folder:
    """A folder, given by its URL or local path. It need not exist until something is written to it.

    It holds no connections (fsspec does), so it can be sent to other processes.

    Attributes:
        url: a URL such as ``s3://bucket/archive``, or a local path.
    """

    url: str

    def names(self, below: str = "") -> set[str]:
        """Return the names of everything in the subfolder `below`; an empty set if it is missing.

        Raises:
            OSError: the folder cannot be listed.
        """
        system, path = self._at(below)
        system.invalidate_cache()
        try:
            with answering(self.url):
                found = system.ls(path, detail=False)
        except FileNotFoundError:
            return set()
        return {name.rstrip("/").rpartition("/")[2] for name in found} - {""}

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            OSError: it cannot be read.
        """
        system, path = self._at(name)
        with answering(self.url):
            return bytes(system.cat_file(path))

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically, and create its folder if needed.

        Local files and objects in a store are never visible in part. Other file systems, such as SFTP, can
        leave a partial file if they are interrupted.

        Raises:
            OSError: it cannot be written.
        """
        system, path = self._at(name)
        with answering(self.url):
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            if is_local(self.url):
                write_atomically(Path(path), data)
            else:
                system.pipe_file(path, data)

    def _at(self, name: str) -> tuple[Any, str]:
        """Return the file system, and the path of the entry with this name in the folder."""
        system, path = file_system(self.url)
        return system, f"{path.rstrip('/')}/{name}".rstrip("/")
