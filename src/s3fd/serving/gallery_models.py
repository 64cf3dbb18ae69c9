"""Response bodies of the gallery's routes, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from s3fd.serving.models import EXAMPLE_FACE, EXAMPLE_PICTURE, Face, PictureRecord

EXAMPLE_IDENTITY: dict[str, Any] = {"name": "Ada", "score": 0.7312, "threshold": 0.4205}
EXAMPLE_PERSON: dict[str, Any] = {"name": "Ada", "vectors": 3}
EXAMPLE_ENROLLED: dict[str, Any] = {
    "path": "astronaut.jpg",
    "box": EXAMPLE_FACE["box"],
    "score": EXAMPLE_FACE["score"],
}
EXAMPLE_REFUSED: dict[str, Any] = {
    "path": "party.jpg",
    "error": "2 faces: cannot tell which one is meant",
}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Thresholds(BaseModel):
    """Thresholds that `s3fd gallery calibrate` fitted to people who are not in the gallery."""

    identify: float = Field(description="Minimum score at which a face is identified.")
    verify: float = Field(description="Minimum score at which a face is that of a given person.")
    false_accepts: float = Field(
        description="Requested false accept rate: share of strangers' faces mistaken for somebody."
    )
    faces: int = Field(description="Number of strangers' faces that the thresholds were fitted to.")
    vectors: int = Field(
        description="Vectors in the gallery at that time. With more vectors, there are more false accepts."
    )
    pairs: float | None = Field(
        description="Minimum score at which two faces belong to the same person; null if the gallery was "
        "calibrated by an earlier version, for which it is `verify`."
    )


class GalleryCard(BaseModel):
    """The gallery as a whole."""

    model_config = _example(
        {
            "model": "faces",
            "digest": "9f2c…",
            "people": 2,
            "vectors": 5,
            "threshold": None,
            "calibration": {
                "identify": 0.4205,
                "verify": 0.3911,
                "false_accepts": 0.01,
                "faces": 200,
                "vectors": 5,
                "pairs": 0.3702,
            },
        }
    )

    model: str = Field(description="Name of the embedding model.")
    digest: str = Field(description="SHA-256 of everything that determines the vectors.")
    people: int
    vectors: int
    threshold: float | None = Field(description="Threshold of `s3fd serve`, in place of the calibrated one.")
    calibration: Thresholds | None


class Person(BaseModel):
    """A person in the gallery."""

    model_config = _example(EXAMPLE_PERSON)

    name: str
    vectors: int = Field(description="Number of vectors: one per different picture.")


class People(BaseModel):
    """People, sorted by name."""

    model_config = _example({"people": [EXAMPLE_PERSON], "next": None})

    people: list[Person]
    next: str | None = Field(description="Value of `after` to request the next people; null at the end.")


class EnrolledPicture(BaseModel):
    """Which face of a picture was enrolled, or why none was."""

    path: str = Field(description="File name as sent; empty for the bytes of a picture.")
    box: tuple[float, float, float, float] | None = None
    score: float | None = Field(None, description="The detector's confidence in the face.")
    error: str | None = None


class Enrolled(BaseModel):
    """Result of enrolling a person."""

    model_config = _example(EXAMPLE_PERSON | {"pictures": [EXAMPLE_ENROLLED, EXAMPLE_REFUSED]})

    name: str
    vectors: int = Field(description="Number of vectors that the person now has.")
    pictures: list[EnrolledPicture]


class Removed(BaseModel):
    """Result of deleting a person."""

    model_config = _example({"name": "Ada", "removed": 3})

    name: str
    removed: int = Field(description="Number of deleted vectors.")


class Identity(BaseModel):
    """The person a face is identified as, as `s3fd gallery identify` reports it."""

    model_config = _example(EXAMPLE_IDENTITY)

    name: str = Field(description='Name of the person, or "unknown".')
    score: float | None = Field(description="Cosine with the most similar person; null in an empty gallery.")
    threshold: float = Field(description="Minimum score; a face that scores less is unknown.")


class IdentifiedFace(Face):
    """A face as `POST /v1/detect` reports it, with its identity."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [EXAMPLE_FACE | {"identity": EXAMPLE_IDENTITY}]}
    )

    identity: Identity


class IdentifiedPicture(PictureRecord):
    """The faces in one picture, best score first, or the reason why there are none."""

    faces: list[IdentifiedFace] | None = None  # type: ignore[assignment]


class Identified(BaseModel):
    """The records of all pictures, in order."""

    model_config = _example(
        {"pictures": [EXAMPLE_PICTURE | {"faces": [EXAMPLE_FACE | {"identity": EXAMPLE_IDENTITY}]}]}
    )

    pictures: list[IdentifiedPicture]


class ComparedPicture(BaseModel):
    """The face in a picture that was compared."""

    path: str
    box: tuple[float, float, float, float]


class Verified(BaseModel):
    """Whether two faces, or a face and an enrolled person, are the same person."""

    model_config = _example(
        {
            "same": True,
            "score": 0.7312,
            "threshold": 0.3911,
            "name": "Ada",
            "pictures": [{"path": "door.jpg", "box": EXAMPLE_FACE["box"]}],
        }
    )

    same: bool = Field(description="Whether the score is at least the threshold.")
    score: float = Field(description="Cosine; for a person, the highest with any of their vectors.")
    threshold: float
    name: str | None = Field(description="Name of the person; null if two pictures were compared.")
    pictures: list[ComparedPicture]
