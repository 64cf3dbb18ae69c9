"""``POST /v1/detect`` and ``GET /v1/model``."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

import s3fd
from s3fd.inference.detector import MIN_SCORE
from s3fd.serving import finding
from s3fd.serving.admission import BODY, Service, unless_gone
from s3fd.serving.models import Answer, ModelCard, problem_responses

Size = Annotated[
    str,
    Query(
        max_length=8,
        description="Longest side at which the network sees a picture: auto, vga, original or a number.",
        examples=["vga"],
    ),
]
Score = Annotated[float, Query(ge=0, le=1, description="Return only faces that score over this.")]
MinSize = Annotated[
    float, Query(ge=0, allow_inf_nan=False, description="Minimum shorter side of a face, in pixels.")
]
Attributes = Annotated[
    str | None,
    Query(max_length=200, description="Attributes to predict, separated by commas.", examples=["gender"]),
]
Probability = Annotated[
    float, Query(ge=0, le=1, description="An attribute with a lower probability than this is null.")
]


def router(service: Service, gallery: bool = False) -> APIRouter:
    """Build the routes of detection; `gallery` says whether the service has routes of a gallery too."""
    routes = APIRouter(prefix="/v1", tags=["detection"])

    @routes.post(
        "/detect",
        summary="Find the faces in pictures",
        response_model=None,
        openapi_extra=BODY,
        responses={
            200: {
                "model": Answer,
                "description": "One record per picture. If several are sent, a record may have an error "
                "instead of faces.",
            },
            **problem_responses(400, 401, 403, 408, 413, 415, 421, 422, 429, 503, 504),
        },
    )
    async def detect(
        request: Request,
        size: Size = "vga",
        min_score: Score = MIN_SCORE,
        min_size: MinSize = 0,
        attributes: Attributes = None,
        min_probability: Probability = 0,
    ) -> Response:
        """Send one or many files as multipart/form-data, or the bytes of one picture.

        The records equal those of `s3fd detect`. A single picture that cannot be read is answered with an
        error status. Among several pictures, its record has the reason.
        """
        detector = finding.with_options(service.detector, size, min_score, attributes, min_probability)
        uploads = await service.read(request)
        find = partial(finding.find, service.passes, detector, service.limits, min_size)
        calls = [partial(find, one) for one in uploads]
        found = await unless_gone(request, service.workers.run(calls, service.limits.deadline))
        service.count(request, found)
        finding.refuse_alone(found)
        return JSONResponse({"pictures": [one.record.to_dict() for one in found]})

    @routes.get("/model", summary="Describe the model", responses=problem_responses(401, 403, 421))
    async def model() -> ModelCard:
        """Return the version, the engine, the attributes that the model predicts, and limits of requests."""
        runtime, limits = service.detector.runtime, service.limits
        return ModelCard(
            version=s3fd.__version__,
            engine=runtime.engine,
            device=runtime.device,
            attributes={name: list(classes) for name, classes in runtime.classes.items()},
            max_bytes=limits.body,
            max_files=limits.files,
            max_pixels=limits.pixels,
            gallery=gallery,
        )

    return routes
