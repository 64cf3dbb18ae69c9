"""Response bodies, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from s3fd.serving.problems import MEDIA_TYPE

EXAMPLE_FACE: dict[str, Any] = {
    "box": [178.4, 63.4, 270.4, 175.6],
    "score": 0.9662,
    "gender": "female",
    "gender_probability": 0.9021,
}
EXAMPLE_PICTURE: dict[str, Any] = {
    "path": "astronaut.jpg",
    "width": 512,
    "height": 512,
    "faces": [EXAMPLE_FACE],
}


class Face(BaseModel):
    """A face. Each requested attribute adds two fields, such as gender and gender_probability."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [EXAMPLE_FACE]})

    box: tuple[float, float, float, float] = Field(
        description="Left, top, right, bottom in pixels of the upright picture."
    )
    score: float = Field(ge=0, le=1)


class PictureRecord(BaseModel):
    """The faces in one picture, best score first, as `s3fd detect` writes them, or why there are none."""

    path: str = Field(description="File name as sent; empty for the bytes of a picture.")
    width: int | None = Field(None, description="Width of the upright picture, in pixels.")
    height: int | None = Field(None, description="Height of the upright picture, in pixels.")
    faces: list[Face] | None = None
    error: str | None = Field(None, description="Why the picture cannot be read; replaces the faces.")


class Answer(BaseModel):
    """The records of all pictures, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pictures": [EXAMPLE_PICTURE]}]})

    pictures: list[PictureRecord]


class ModelCard(BaseModel):
    """The model that the service runs, and its limits."""

    version: str
    engine: str
    device: str
    attributes: dict[str, list[str]] = Field(description="Attributes that are predicted, with their classes.")
    max_bytes: int
    max_files: int
    max_pixels: int
    gallery: bool = Field(description="Whether the service has routes below /v1/gallery.")


class InvalidOption(BaseModel):
    """An option that is not valid."""

    parameter: str
    detail: str


class ProblemBody(BaseModel):
    """An error, according to RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[InvalidOption] | None = Field(None, description="With status 422: the invalid options.")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the error responses of a route, with an example."""
    from s3fd.serving.problems import title

    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": title(status),
            "model": ProblemBody,
            "content": {
                MEDIA_TYPE: {
                    "schema": schema,
                    "example": {
                        "type": "about:blank",
                        "title": title(status),
                        "status": status,
                        "detail": "…",
                    },
                }
            },
        }
        for status in statuses
    }
