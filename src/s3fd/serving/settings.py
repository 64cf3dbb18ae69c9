"""Limits of the service: nothing that a client sends may take more resources than these."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are decoded, by Pillow's names: those that cameras, phones and web pages use."""

KEY = "S3FD_API_KEY"
"""Environment variable with the API key: on a command line, every user of the machine could read it."""

MIN_KEY = 16
"""Minimum characters of an API key."""


@dataclass(frozen=True)
class Limits:
    """Limits of requests, with the HTTP status of a request that exceeds each of them.

    Attributes:
        body: maximum bytes of one request (413).
        held: maximum bytes of all requests that are being read or processed (503).
        files: maximum pictures of one request (413).
        pixels: maximum pixels of one picture, by its header, before anything is decoded (413).
        side: maximum pixels of a picture's longer side (413), which bounds the number of tiles at ``auto``,
            and the padding of a picture that is only a line. JPEG has the same maximum.
        seen: maximum pixels that the network sees at once, which bounds its memory to about 500 MB per
            worker (413).
        queue: maximum pictures that wait for a worker (503).
        per_client: maximum simultaneous requests of one address (429); None for no limit.
        upload: seconds within which a request must arrive (408).
        deadline: seconds from the arrival of a request to its response (504).
        vectors: maximum vectors that requests may fill a gallery to (507).
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
        """Raise ValueError if a limit is not positive, or too small for a request that the others allow."""
        for name in ("body", "files", "pixels", "side", "seen", "queue", "upload", "deadline", "vectors"):
            if not getattr(self, name) > 0:  # or not a number
                raise ValueError(f"{name} must be more than 0")
        if self.per_client is not None and self.per_client < 1:
            raise ValueError("per_client must be 1 or more")
        if self.held < self.body:
            raise ValueError(f"held ({self.held} bytes) must not be less than body ({self.body} bytes)")
        if self.files > self.queue:
            raise ValueError(f"files ({self.files}) must not be more than queue ({self.queue})")


def is_loopback(host: str) -> bool:
    """Return whether an address, or ``localhost``, can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(host: str, key: str | None) -> None:
    """Raise ValueError if the API key is invalid, or missing although other machines can reach `host`."""
    if key is None:
        if not is_loopback(host):
            raise ValueError(
                f"{host} can be reached from other machines, which requires an API key: "
                f"set one with --api-key-file or {KEY}"
            )
    elif len(key) < MIN_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"an API key must have at least {MIN_KEY} printable ASCII characters, and no spaces")
