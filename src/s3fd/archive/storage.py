"""Folders anywhere: on this machine, in an object store, wherever fsspec reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3fd.weights.atomic import write_atomically

READERS = 16
"""Files that are fetched at the same time. A request to an object store takes some tens of milliseconds,
about as long as the network takes for a picture on a processor: so many keep several of those busy."""

LOCAL = ("file://", "local://")
"""What a URL of a local file begins with."""


def is_local(path: str) -> bool:
    """Whether a path is one of this machine's, not a URL such as ``s3://bucket/folder``."""
    return "://" not in path or path.startswith(LOCAL)


def local_path(path: str) -> str:
    """A local path without what a URL puts before it."""
    return file_system(path)[1] if path.startswith(LOCAL) else path


def absolute(path: str) -> str:
    """A local path from the root on, whatever the folder of another process may be; a URL as it is."""
    return os.path.abspath(local_path(path)) if is_local(path) else path  # noqa: PTH100 (leaves links alone)


def file_system(url: str) -> tuple[Any, str]:
    """The file system (`fsspec.AbstractFileSystem`) of a URL or local path, and the path in it.

    Raises:
        ImportError: the package of this kind of file system, such as s3fs, is missing.
        ValueError: a kind that fsspec does not know.
    """
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    return system, str(path)


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Around the use of a storage: turn what its own library raises, such as botocore's, into OSError."""
    try:
        yield
    except (OSError, ImportError, ValueError):
        raise
    except Exception as error:  # they have no base in common
        raise OSError(f"{name}: {error}") from error


@dataclass(frozen=True)
class Folder:
    """A folder by its URL or local path; it need not be there until something is written.

    It holds no connection, so that it can be sent to other processes; fsspec keeps those.

    Attributes:
        url: such as ``s3://bucket/archive``, or a local path.
    """

    url: str

    def names(self, below: str = "") -> set[str]:
        """Names of what is in the folder `below`; none if that is missing.

        Raises:
            OSError: it cannot be listed.
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
        """All of a file.

        Raises:
            OSError: it cannot be read.
        """
        system, path = self._at(name)
        with answering(self.url):
            return bytes(system.cat_file(path))

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is either whole or not there, and make the folder that it lies in.

        Of a local file, and of an object in a store, no part is ever seen. Other file systems, such as SFTP,
        can leave a part when they break off.

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
        """The file system, and the path of what has this name in the folder."""
        system, path = file_system(self.url)
        return system, f"{path.rstrip('/')}/{name}".rstrip("/")
