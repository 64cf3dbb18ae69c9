"""HEIC, the format in which phones store photographs: Pillow reads it with pi-heif, the extra ``heic``."""

from __future__ import annotations

from functools import cache

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
"""Major brands of pictures coded with HEVC, and those that leave the coding open (ISO/IEC 23008-12)."""

MISSING = "reading HEIC needs pi-heif: pip install 's3fd[heic]'"
"""Message for a picture if pi-heif is not installed."""

PREFIX = 12
"""Number of bytes that `is_heif` needs."""


def is_heif(start: bytes) -> bool:
    """Whether a file that begins with these bytes is HEIC, or another kind of HEIF."""
    return start[4:8] == b"ftyp" and start[8:PREFIX] in BRANDS


@cache
def register() -> bool:
    """Register the format with Pillow on the first call; return whether pi-heif is installed."""
    try:
        import pi_heif
    except ModuleNotFoundError:
        return False
    pi_heif.register_heif_opener(thumbnails=False)
    return True
