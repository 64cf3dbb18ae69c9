"""Decide who a face belongs to, from its scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s3fd.identity.store import GalleryError, Match, trimmed

UNKNOWN = "unknown"
"""The name of anyone who is not in the gallery."""

LONGEST_NAME = 200
"""Maximum number of characters in a person's name."""


@dataclass(frozen=True)
class Identity:
    """Who a face is identified as.

    Attributes:
        name: name of the person, or `UNKNOWN`.
        score: score of the most similar person, -1 to 1; None if the gallery is empty.
        threshold: threshold that the score was compared with.
    """

    name: str
    score: float | None
    threshold: float

    @property
    def known(self) -> bool:
        """Whether the face was identified as a person in the gallery."""
        return self.score is not None and self.score >= self.threshold

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict, with numbers rounded to four decimals."""
        score = None if self.score is None else round(self.score, 4)
        return {"name": self.name, "score": score, "threshold": round(self.threshold, 4)}


JOINED = "[\u0590-\u1dbf\ua8e0-\uabff]"
"""Letters and marks from Hebrew and Arabic to the scripts of India and South-East Asia."""

JOINER = re.compile(f"(?<={JOINED})[\u200c\u200d](?={JOINED})")
"""Invisible characters that join or separate two letters, as spelling requires in Persian or Sinhala names.
In other scripts they would only make two names look the same."""


def decide(matches: Sequence[Match], threshold: float) -> Identity:
    """Identify a face as the first of `matches` (best first), if that match scores `threshold` or more."""
    if not matches:
        return Identity(UNKNOWN, None, threshold)
    best = matches[0]
    return Identity(best.name if best.score >= threshold else UNKNOWN, best.score, threshold)


def check_name(name: str) -> str:
    """Return a person's name, `composed` and without surrounding whitespace.

    Raises:
        GalleryError: the name is empty, too long or not printable, or it could be mistaken for the answer
            `UNKNOWN` or for another folder.
    """
    name = trimmed(name)
    if not name:
        raise GalleryError("a person needs a name")
    if len(name) > LONGEST_NAME:
        raise GalleryError(f"a name can have at most {LONGEST_NAME} characters, not {len(name)}")
    if not JOINER.sub("", name).isprintable():
        raise GalleryError("a name can only contain printable characters")
    if name.casefold() == UNKNOWN:
        raise GalleryError(
            f"{name!r} is reserved: it is the answer for faces of people who are not in the gallery"
        )
    if name in (".", ".."):
        raise GalleryError(f"{name!r} is reserved: as a folder name, it refers to another folder")
    return name
