"""HEIC, in which telephones keep photographs: Pillow reads it with pi-heif, which is the extra ``heic``."""

from __future__ import annotations

from functools import cache

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
"""Major brands of pictures coded with HEVC, and those that leave the coding open (ISO/IEC 23008-12)."""

MISSING = "HEIC is read with  pip install 's3fd[heic]'"
"""What to say of a picture where pi-heif is not installed."""

PREFIX = 12
"""Bytes that `is_heif` asks for."""


def is_heif(start: bytes) -> bool:
    """Whether a file that begins like this is HEIC, or another kind of HEIF."""
    return start[4:8] == b"ftyp" and start[8:PREFIX] in BRANDS


@cache
def register() -> bool:
    """Teach Pillow the format, the first time; say whether pi-heif is there."""
    try:
        import pi_heif
    except ModuleNotFoundError:
        return False
    pi_heif.register_heif_opener(thumbnails=False)
    return True
