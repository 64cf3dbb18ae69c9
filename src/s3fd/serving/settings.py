"""What bounds the service: nothing a client sends may take more than this."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded, by Pillow's names: what cameras, phones and pages use."""

MIN_KEY = 16
"""Characters of the shortest API key that is taken."""


@dataclass(frozen=True)
class Limits:
    """Bounds of requests; each has a status of its own.

    Attributes:
        body: bytes of one request (413).
        held: bytes of all requests that are being read or worked on (503).
        files: pictures of one request (413).
        pixels: of one picture, by its header, before anything is decoded (413).
        side: pixels of its longer side (413), which bounds the tiles that ``auto`` sees it in, and what is
            padded beside a line. JPEG allows no more either.
        seen: most pixels the network sees at once, which bounds its memory at about 500 MB a worker (413).
        queue: pictures that wait for a worker (503).
        per_client: requests of one address at a time (429); None for any number.
        upload: seconds in which a request must have arrived (408).
        deadline: seconds from there to its answer (504).
        vectors: that requests may fill a gallery to (507).
    """

    body: int = 32 * 2**20
    held: int = 256 * 2**20
    files: int = 16
    pixels: int = 50_000_000
    side: int = 65_535
    seen: int = 2048 * 2048
    queue: int = 64
    per_client: int | None = 32
    upload: float = 30.0
    deadline: float = 10.0
    vectors: int = 100_000

    def __post_init__(self) -> None:
        """Raise ValueError for a bound that leaves nothing, or lets through no request that others allow."""
        for name in ("body", "files", "pixels", "side", "seen", "queue", "upload", "deadline", "vectors"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")
        if self.per_client is not None and self.per_client < 1:
            raise ValueError("per_client must be 1 or more")
        if self.held < self.body:
            raise ValueError(f"held ({self.held} bytes) must have room for one body ({self.body} bytes)")
        if self.files > self.queue:
            raise ValueError(f"files ({self.files}) must fit into the queue ({self.queue})")


def is_loopback(host: str) -> bool:
    """Whether an address, or ``localhost``, can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(host: str, key: str | None) -> None:
    """Raise ValueError if `host` must not be bound with this API key, or without one."""
    if key is None:
        if not is_loopback(host):
            raise ValueError(f"{host} can be reached from other machines: that needs an API key")
    elif len(key) < MIN_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"an API key has {MIN_KEY} printable ASCII characters or more, and no space")
