"""Atomic writing of files: a file is either complete or absent."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

UNFINISHED = ".partial"
"""How the name of a temporary file ends."""

LONGEST_NAME = 230
"""Longest name, in bytes, that leaves room for a temporary name's ending within most file systems' 255."""


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `data` to `path` through a temporary file next to it, so that no reader sees a partial file.

    If several threads, processes or machines write the same file at once, the last one wins, and the file is
    complete. With `sync`, it is on the disk when this returns. Without `sync`, which is faster, it survives a
    killed process but may be lost in a power failure. If writing fails or is interrupted, no temporary file
    is left, and `path` is unchanged.

    Raises:
        OSError: the file cannot be written.
    """
    # Thread and process numbers are not unique among containers and machines that share a folder.
    temporary = temporary_name(path, f"{secrets.token_hex(6)}{UNFINISHED}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # it names the temporary file, or on a full disk none
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder to which nobody writes now."""
    for left in folder.glob(f".*{UNFINISHED}"):
        left.unlink(missing_ok=True)


def temporary_name(path: Path, ending: str) -> Path:
    """Return a hidden name next to `path` with this `ending`, not too long if `path`'s own name is not."""
    name = os.fsencode(path.name)
    short = path.name if len(name) < LONGEST_NAME else hashlib.sha256(name).hexdigest()
    return path.with_name(f".{short}.{ending}")
