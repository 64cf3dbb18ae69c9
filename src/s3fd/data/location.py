"""Where sets lie: folders, files and parts of files on the disk or at any URL that fsspec knows.

URLs are handled by universal-pathlib, whose `UPath` answers as `Path` does (extra ``remote``); without URLs
it is not needed.
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
    Location = Path  # so that annotations can be read where nobody has universal-pathlib
    """A file or folder, on the disk or at a URL."""


class UnreachableError(Exception):
    """A URL could not be asked, so that nothing is known of it, not even whether it is missing.

    It is no `OSError`: a connection that failed must not be taken for a picture that is not there.
    """


@dataclass(frozen=True)
class Part:
    """A file inside of another, such as a tar's member: `size` bytes from `offset` on."""

    file: Location
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        """Return ``file/name``."""
        return f"{self.file}/{self.name}"


def locate(text: str) -> Location:
    """Take a text with ``://`` in it for a URL and any other for a path.

    Raises:
        ValueError: a URL, but universal-pathlib is not installed, or fsspec does not know its kind.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath
    except ModuleNotFoundError as error:
        raise ValueError(f"{text}: {how_to_install(error, 'URLs need', 'remote')}") from None
    return UPath(text)


def below(root: Location, part: str | PurePath) -> Location:
    """Find `part` below `root`, unless it is a URL or an absolute path itself."""
    if isinstance(part, str):
        return locate(part)
    return Path(part) if part.is_absolute() else root.joinpath(*part.parts)


@contextmanager
def reaching(location: Location) -> Iterator[None]:
    """Around what a URL is asked for: every storage has errors of its own, and two are made of them.

    Raises:
        FileNotFoundError: there is no such file.
        UnreachableError: anything else went wrong, such as a connection or permissions.
    """
    try:
        yield
    except Exception as error:
        if isinstance(location, Path) or isinstance(error, ValueError):  # or what was read is not understood
            raise
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"{location} does not exist") from error
        raise UnreachableError(f"{location}: {error or type(error).__name__}") from error


def is_there(location: Location) -> bool:
    """Whether there is such a file or folder.

    Raises:
        UnreachableError: a URL that cannot be asked.
    """
    with reaching(location):
        return location.exists()


def find(folder: Location, pattern: str) -> list[Location]:
    """List what matches `pattern` anywhere below a folder, in an order that does not depend on where it lies.

    Raises:
        UnreachableError: a URL that cannot be asked.
    """
    with reaching(folder):
        found: Iterable[Location] = folder.rglob(pattern)
        return sorted(found, key=lambda path: tuple(path.parts))


def read_bytes(file: Location | Part) -> bytes:
    """Read a whole file, or part of one without the rest.

    Raises:
        OSError: it is not there, or cannot be read.
        UnreachableError: a URL that cannot be asked.
    """
    if isinstance(file, Part):
        data = _read(file.file, file.offset, file.size)
        if len(data) != file.size:  # a server that knows no ranges gives the whole file
            raise OSError(f"{file}: {len(data)} bytes of {file.size}")
        return data
    return _read(file, 0, None)


def _read(file: Location, offset: int, size: int | None) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(-1 if size is None else size)
    import fsspec

    with reaching(file):
        # of this very process: a connection that was open in the one it was forked from cannot be used
        storage = fsspec.filesystem(file.protocol, **file.storage_options)
        end = None if size is None else offset + size
        data: bytes = storage.cat_file(
            file.path, start=offset, end=end
        )  # by name: s3fs takes a version first
        return data
