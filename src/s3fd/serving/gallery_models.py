"""The bodies of answers about the gallery, as OpenAPI describes them."""

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
    "error": "2 faces: whose picture is it?",
}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Thresholds(BaseModel):
    """What `s3fd gallery calibrate` fitted to people who are not in the gallery."""

    identify: float = Field(description="Least score at which somebody is identified.")
    verify: float = Field(description="Least score at which two faces are one person's.")
    false_accepts: float = Field(description="The rate of strangers taken for somebody that was asked for.")
    faces: int = Field(description="Of strangers, that they were fitted to.")
    vectors: int = Field(
        description="In the gallery then; with more of them, more strangers are taken for somebody."
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
            },
        }
    )

    model: str = Field(description="Name of the embedding model.")
    digest: str = Field(description="SHA-256 of all that decides what its vectors are.")
    people: int
    vectors: int
    threshold: float | None = Field(description="Of `s3fd serve`, in place of the calibration's.")
    calibration: Thresholds | None


class Person(BaseModel):
    """A person of the gallery."""

    model_config = _example(EXAMPLE_PERSON)

    name: str
    vectors: int = Field(description="One for each picture that was enrolled.")


class People(BaseModel):
    """People in the order of their names."""

    model_config = _example({"people": [EXAMPLE_PERSON], "next": None})

    people: list[Person]
    next: str | None = Field(description="Where there are more: `after` of the request for these.")


class EnrolledPicture(BaseModel):
    """Which face of a picture was enrolled, or why none was."""

    path: str = Field(description="The file's name as it was sent; empty for bytes alone.")
    box: tuple[float, float, float, float] | None = None
    score: float | None = Field(None, description="How sure the detector is that it is a face.")
    error: str | None = None


class Enrolled(BaseModel):
    """Whom the pictures were enrolled for."""

    model_config = _example(EXAMPLE_PERSON | {"pictures": [EXAMPLE_ENROLLED, EXAMPLE_REFUSED]})

    name: str
    vectors: int = Field(description="That the person has now.")
    pictures: list[EnrolledPicture]


class Removed(BaseModel):
    """Who was deleted."""

    model_config = _example({"name": "Ada", "removed": 3})

    name: str
    removed: int = Field(description="How many vectors there were.")


class Identity(BaseModel):
    """Who a face is taken for, as `s3fd gallery identify` tells it."""

    model_config = _example(EXAMPLE_IDENTITY)

    name: str = Field(description='Of the person, or "unknown".')
    score: float | None = Field(description="Cosine with the person most like it; null in an empty gallery.")
    threshold: float = Field(description="Who scores less is unknown.")


class IdentifiedFace(Face):
    """A face as `POST /v1/detect` reports it, and who it is."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [EXAMPLE_FACE | {"identity": EXAMPLE_IDENTITY}]}
    )

    identity: Identity


class IdentifiedPicture(PictureRecord):
    """The faces of one picture, best score first; or why there are none."""

    faces: list[IdentifiedFace] | None = None  # type: ignore[assignment]


class Identified(BaseModel):
    """The records of all pictures, in their order."""

    model_config = _example(
        {"pictures": [EXAMPLE_PICTURE | {"faces": [EXAMPLE_FACE | {"identity": EXAMPLE_IDENTITY}]}]}
    )

    pictures: list[IdentifiedPicture]


class ComparedPicture(BaseModel):
    """The face of a picture that was compared."""

    path: str
    box: tuple[float, float, float, float]


class Verified(BaseModel):
    """Whether two faces, or a face and a person, are the same person's."""

    model_config = _example(
        {
            "same": True,
            "score": 0.7312,
            "threshold": 0.3911,
            "name": "Ada",
            "pictures": [{"path": "door.jpg", "box": EXAMPLE_FACE["box"]}],
        }
    )

    same: bool = Field(description="Whether the score is the threshold or more.")
    score: float = Field(description="Cosine; of a person, the best with any of the vectors.")
    threshold: float
    name: str | None = Field(description="Of the person; null where two pictures were compared.")
    pictures: list[ComparedPicture]
