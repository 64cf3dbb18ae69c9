"""From scores to an answer: who a face is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s3fd.identity.store import GalleryError, Match, composed

UNKNOWN = "unknown"
"""The name of whoever is nobody of the gallery."""

LONGEST_NAME = 200
"""Characters of a person's name."""


@dataclass(frozen=True)
class Identity:
    """Who a face is taken for.

    Attributes:
        name: of the person, or `UNKNOWN`.
        score: of the person most like the face, -1 to 1; None if the gallery is empty.
        threshold: that decided.
    """

    name: str
    score: float | None
    threshold: float

    @property
    def known(self) -> bool:
        """Whether it is somebody of the gallery."""
        return self.score is not None and self.score >= self.threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready answer, numbers to four decimals."""
        score = None if self.score is None else round(self.score, 4)
        return {"name": self.name, "score": score, "threshold": round(self.threshold, 4)}


def decide(matches: Sequence[Match], threshold: float) -> Identity:
    """Take a face for the best of the people most like it, best first, if that scores `threshold` or more."""
    if not matches:
        return Identity(UNKNOWN, None, threshold)
    best = matches[0]
    return Identity(best.name if best.score >= threshold else UNKNOWN, best.score, threshold)


def check_name(name: str) -> str:
    """Return a person's name `composed`, and without the space around it.

    Raises:
        GalleryError: there is nothing else, or it is too long, cannot be printed, or would be mistaken for
            an answer that means nobody, or for another folder.
    """
    name = composed(name).strip()
    if not name:
        raise GalleryError("a person needs a name")
    if len(name) > LONGEST_NAME:
        raise GalleryError(f"a name has {LONGEST_NAME} characters at most, not {len(name)}")
    if not name.isprintable():
        raise GalleryError("a name is of characters that can be printed")
    if name.casefold() == UNKNOWN:
        raise GalleryError(f"nobody can be called {name!r}: that is the answer for a face of nobody here")
    if name in (".", ".."):
        raise GalleryError(f"nobody can be called {name!r}: a folder of that name is another one")
    return name
