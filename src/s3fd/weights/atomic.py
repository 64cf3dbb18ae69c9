"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

LONGEST_NAME = 230
"""Bytes of a name that leave room, of the 255 of most file systems, for the temporary name's own."""


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `data` to `path` through a temporary file beside it, so that no reader ever sees a part.

    Of several threads, processes or machines that write the same file at a time, the last leaves its own,
    whole.
    With `sync` it is on the disk when this returns. Without, which is faster, a loss of power may take it
    away again, where a kill may not. If it cannot be written, nothing is left and `path` stays as it was.

    Raises:
        OSError: it cannot be written.
    """
    # Not by thread or process: containers and machines that share a folder have the same numbers.
    temporary = temporary_name(path, f"{secrets.token_hex(6)}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # that of a full disk names no file
        raise


def temporary_name(path: Path, ending: str) -> Path:
    """A hidden name beside `path` with this `ending`; it is not too long where that of `path` is not."""
    name = os.fsencode(path.name)
    short = path.name if len(name) < LONGEST_NAME else hashlib.sha256(name).hexdigest()
    return path.with_name(f".{short}.{ending}")
