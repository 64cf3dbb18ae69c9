"""Locations of data sets: folders, files and parts of files, on the disk or at any URL that fsspec supports.

URLs are handled by universal-pathlib, whose `UPath` has the interface of `Path` (extra ``remote``). Local
data sets do not need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeAlias

from s3fd.extras import how_to_install

if TYPE_CHECKING:
    from upath import UPath

    Location: TypeAlias = Path | UPath
else:
    Location = Path  # type hints must resolve without universal-pathlib
    """A file or folder, on the disk or at a URL."""


class UnreachableError(Exception):
    """Raised if a URL could not be reached, so that it is not even known whether it exists.

    This is not an `OSError`, because a failed connection must not be mistaken for a missing picture.
    """


@dataclass(frozen=True)
class Part:
    """A file inside another, such as a member of a tar file: `size` bytes from `offset` on."""

    file: Location
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        """Return ``file/name``."""
        return f"{self.file}/{self.name}"


def locate(text: str) -> Location:
    """Interpret a text that contains ``://`` as a URL, and any other text as a path.

    Raises:
        ValueError: it is a URL, but universal-pathlib is not installed, or fsspec does not know its protocol.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath
    except ModuleNotFoundError as error:
        raise ValueError(f"{text}: {how_to_install(error, 'URLs need', 'remote')}") from None
    return UPath(text)


def below(root: Location, part: str | PurePath) -> Location:
    """Return the location of `part` below `root`, unless it is an absolute path or a string (a URL)."""
    if isinstance(part, str):
        return locate(part)
    return Path(part) if part.is_absolute() else root.joinpath(*part.parts)


@contextmanager
def reaching(location: Location) -> Iterator[None]:
    """Convert the errors of a URL's storage library to one of two; each library has its own.

    Errors for a local path, and every ValueError, are raised unchanged.

    Raises:
        FileNotFoundError: there is no such file.
        UnreachableError: anything else went wrong, such as the connection or permissions.
    """
    try:
        yield
    except Exception as error:
        if isinstance(location, Path) or isinstance(error, ValueError):  # ValueError: the content is invalid
            raise
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"{location} does not exist") from error
        raise UnreachableError(f"{location}: {error or type(error).__name__}") from error


def is_there(location: Location) -> bool:
    """Whether the file or folder exists.

    Raises:
        UnreachableError: a URL cannot be reached.
    """
    with reaching(location):
        return location.exists()


def find(folder: Location, pattern: str) -> list[Location]:
    """List everything that matches `pattern` at any depth below a folder, sorted by the parts of the paths.

    The order does not depend on where the folder is.

    Raises:
        UnreachableError: a URL cannot be reached.
    """
    with reaching(folder):
        found: Iterable[Location] = folder.rglob(pattern)
        return sorted(found, key=lambda path: tuple(path.parts))


def read_bytes(file: Location | Part) -> bytes:
    """Read a whole file, or only the given part of one.

    Raises:
        OSError: the file does not exist or cannot be read.
        UnreachableError: a URL cannot be reached.
    """
    if isinstance(file, Part):
        data = _read(file.file, file.offset, file.size)
        if len(data) != file.size:  # a server without range requests returns the whole file
            raise OSError(f"{file}: expected {file.size} bytes, got {len(data)}")
        return data
    return _read(file, 0, None)


def _read(file: Location, offset: int, size: int | None) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(-1 if size is None else size)
    import fsspec

    with reaching(file):
        # opened in this process, since a connection inherited from a forked parent cannot be used
        storage = fsspec.filesystem(file.protocol, **file.storage_options)
        end = None if size is None else offset + size
        data: bytes = storage.cat_file(
            file.path, start=offset, end=end
        )  # by keyword, since the first positional argument of s3fs is a version
        return data
