"""The routes of ``/v1/gallery``: manage people and identify faces. `s3fd.identity` makes the decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from s3fd.boxes import FloatArray
from s3fd.counted import counted
from s3fd.identity.decision import LONGEST_NAME, Identity, check_name
from s3fd.identity.enrolment import face_in, only_face
from s3fd.identity.store import GalleryError, Store, trimmed
from s3fd.inference.detector import MIN_SCORE, Detector
from s3fd.serving import finding, questions
from s3fd.serving.admission import BODY, Service, unless_gone
from s3fd.serving.detecting import Attributes, Probability, Score, Size
from s3fd.serving.gallery_models import Enrolled, GalleryCard, Identified, People, Removed, Verified
from s3fd.serving.keeper import Gallery, Keeper
from s3fd.serving.models import problem_responses
from s3fd.serving.picture_routes import no_other_options
from s3fd.serving.problems import Problem
from s3fd.serving.recognising import Choice, Seen, everybody, see

R = TypeVar("R")

LEAST_SCORE = 0.1
"""Minimum score of a detection that a box can select. It is low, so that an uncertain face is refused for its
score and not reported as missing."""

NO_PICTURE = problem_responses(401, 403, 421, 503, 504)
PICTURES = problem_responses(400, 401, 403, 408, 413, 415, 421, 422, 429, 503, 504)

Name = Annotated[
    str, Query(min_length=1, max_length=LONGEST_NAME, description="Name of the person.", examples=["Ada"])
]
Threshold = Annotated[
    float | None,
    Query(
        ge=-1,
        le=1,
        description="Minimum score (cosine). Default: the service's threshold, otherwise the calibrated one.",
        examples=[0.42],
    ),
]
Box = Annotated[
    str | None,
    Query(
        max_length=100,
        description="Box of the face to enrol: left, top, right, bottom in pixels of the upright picture.",
        examples=["178.4, 63.4, 270.4, 175.6"],
    ),
]


@dataclass(frozen=True)
class Desk:
    """Handles requests about the gallery."""

    service: Service
    gallery: Gallery
    keeper: Keeper

    async def ask(self, question: Callable[[Store], R], change: bool = False) -> R:
        """Ask the store a question that involves no picture; see `Keeper.ask`."""
        return await self.keeper.ask(question, self.service.limits.deadline, change)

    async def look(
        self,
        request: Request,
        plan: Callable[[], tuple[Detector, Choice]],
        question: Callable[[Sequence[Seen], Store], R],
        count: int | None = None,
        change: bool = False,
    ) -> tuple[list[Seen], R]:
        """Detect and embed the faces in a request's pictures, and ask the store a question about them.

        Args:
            request: the request with the pictures.
            plan: returns the detector and the choice of faces; raises `Problem` for invalid options.
            question: what to ask; after ``request.state.end``, nobody waits for the answer any more.
            count: required number of pictures; None for any number.
            change: whether the question changes the store.
        """
        limits = self.service.limits
        detector, choose = plan()
        uploads = await self.service.read(request)
        if count is not None and len(uploads) != count:
            raise Problem(422, f"This request needs {counted(count, 'picture')}, not {len(uploads)}.")
        request.state.end = end = time.monotonic() + limits.deadline

        async def work() -> tuple[list[Seen], R]:
            recogniser = self.gallery.recogniser
            look = partial(see, self.service.passes, detector, recogniser, limits, choose)
            calls = [partial(look, one) for one in uploads]
            seen = await self.service.workers.run(calls, limits.deadline)
            self.service.count(request, seen)
            finding.refuse_alone(seen)
            left = max(0, end - time.monotonic())
            return seen, await self.keeper.ask(partial(question, seen), left, change)

        return await unless_gone(request, work())


def router(desk: Desk) -> APIRouter:
    """Build the routes of the gallery."""
    routes = APIRouter(prefix="/v1/gallery", tags=["gallery"])
    metrics, limits = desk.service.metrics, desk.service.limits
    detector = replace(desk.service.detector, embeddings=desk.gallery.embeddings)

    @routes.get("", summary="Describe the gallery", response_model=None, responses=_answers(GalleryCard))
    async def card() -> Response:
        """Return the model, the number of people and vectors, and the thresholds."""
        return JSONResponse(await desk.ask(partial(questions.describe, desk.gallery.threshold)))

    @routes.get(
        "/people",
        summary="List people",
        dependencies=[Depends(no_other_options)],
        response_model=None,
        responses=_answers(People) | problem_responses(422),
    )
    async def people(
        after: Annotated[str, Query(description="List names that sort after this one.")] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> Response:
        """Return names in order, with the number of vectors of each person."""
        return JSONResponse(await desk.ask(partial(questions.people, after, limit)))

    @routes.post(
        "/people",
        summary="Enrol a person",
        response_model=None,
        openapi_extra=BODY,
        responses={200: {"model": Enrolled}, **PICTURES, **problem_responses(507)},
    )
    async def enrol(request: Request, name: Name, size: Size = "vga", box: Box = None) -> Response:
        """Send pictures of a person with one face each, or one picture and the box of a face.

        A single picture that cannot be enrolled is refused with 422 and the reason. Among several pictures,
        its record has the reason, and the others are enrolled. A picture that the person already has is not
        stored again. Only enrol people who have agreed to it.
        """

        person = trimmed(name)

        def plan() -> tuple[Detector, Choice]:
            _check(person)
            least = MIN_SCORE if box is None else LEAST_SCORE
            choose = only_face if box is None else partial(face_in, box=parse_box(box))
            return finding.with_options(detector, size, least, None, 0), choose

        def question(seen: Sequence[Seen], store: Store) -> int:
            added, vectors = questions.enrol(person, limits.vectors, seen, store)
            metrics.enrolled.inc(added)  # here, since it counts even if nobody waits for the answer any more
            return vectors

        seen, vectors = await desk.look(request, plan, question, None if box is None else 1, change=True)
        records = [_enrolled(one) for one in seen]
        return JSONResponse({"name": person, "vectors": vectors, "pictures": records})

    @routes.delete(
        "/people",
        summary="Delete a person for good",
        dependencies=[Depends(no_other_options)],
        response_model=None,
        responses=_answers(Removed) | problem_responses(404, 422),
    )
    async def remove(name: Name) -> Response:
        """Delete everything that the gallery holds about a person, as `s3fd gallery remove` does."""

        def question(store: Store) -> dict[str, Any]:
            removed = questions.remove(trimmed(name), store)
            metrics.removed.inc(removed["removed"])
            return removed

        return JSONResponse(await desk.ask(question, change=True))

    @routes.post(
        "/identify",
        summary="Identify the faces in pictures",
        response_model=None,
        openapi_extra=BODY,
        responses={200: {"model": Identified}, **PICTURES, **problem_responses(409)},
    )
    async def identify(
        request: Request,
        threshold: Threshold = None,
        size: Size = "vga",
        min_score: Score = MIN_SCORE,
        attributes: Attributes = None,
        min_probability: Probability = 0,
    ) -> Response:
        """Send pictures as for detection; each face in the response has a name, or "unknown".

        The identities equal those of `s3fd gallery identify`. If neither the request, the service nor the
        gallery's calibration has a threshold, the response is 409.
        """

        def plan() -> tuple[Detector, Choice]:
            options = (size, min_score, attributes, min_probability)
            return finding.with_options(detector, *options), everybody

        def question(seen: Sequence[Seen], store: Store) -> list[list[Identity]]:
            return questions.identify(least, request.state.end, seen, store)

        least = desk.gallery.threshold if threshold is None else threshold
        seen, told = await desk.look(request, plan, question)
        records = []
        for one, identities in zip(seen, told, strict=True):
            record = one.record.to_dict()
            for face, identity in zip(record.get("faces", ()), identities, strict=True):
                face["identity"] = identity.to_dict()
                metrics.identified.labels(str(identity.known).lower()).inc()
            records.append(record)
        return JSONResponse({"pictures": records})

    @routes.post(
        "/verify",
        summary="Check whether two faces are the same person",
        response_model=None,
        openapi_extra=BODY,
        responses={200: {"model": Verified}, **PICTURES, **problem_responses(404, 409)},
    )
    async def verify(
        request: Request,
        name: Annotated[
            str | None, Query(max_length=LONGEST_NAME, description="Compare one picture with this person.")
        ] = None,
        threshold: Threshold = None,
        size: Size = "vga",
    ) -> Response:
        """Send one picture and a name, or two pictures. Each must show one face, as for enrolment."""

        def plan() -> tuple[Detector, Choice]:
            return finding.with_options(detector, size, MIN_SCORE, None, 0), only_face

        def question(seen: Sequence[Seen], store: Store) -> dict[str, Any]:
            for i, one in enumerate(seen, 1):
                if not one.good:
                    raise Problem(one.status, f"{one.record.path or f'picture {i}'}: {one.record.error}")
            person = None if name is None else trimmed(name)
            return questions.verify(person, least, seen, store)

        least = desk.gallery.threshold if threshold is None else threshold
        seen, answer = await desk.look(request, plan, question, 2 if name is None else 1)
        compared = [{"path": one.record.path, "box": _enrolled(one)["box"]} for one in seen]
        return JSONResponse(answer | {"pictures": compared})

    return routes


def parse_box(text: str) -> FloatArray:
    """Parse a box (4,) such as ``10,20,110.5,140``; raises a `Problem` with status 422 if it is invalid."""
    try:
        box = np.array([float(number) for number in text.split(",")], np.float32)
    except ValueError:
        box = np.zeros(0, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        raise Problem(422, "box: must be four numbers: left, top, right, bottom")
    return box


def _check(name: str) -> None:
    """Raise a `Problem` with status 422 if nobody may have this name."""
    try:
        check_name(name)
    except GalleryError as error:
        raise Problem(422, f"name: {error}") from error


def _answers(model: type) -> dict[int | str, dict[str, Any]]:
    """Describe the responses of a route that takes no picture."""
    return {200: {"model": model}, **NO_PICTURE}


def _enrolled(seen: Seen) -> dict[str, Any]:
    """Report the one face of a picture, or why there is none."""
    record = seen.record
    if record.faces is None:
        return {"path": record.path, "error": record.error}
    (face,) = record.faces.to_dicts()
    return {"path": record.path, "box": face["box"], "score": face["score"]}
