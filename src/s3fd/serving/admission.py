"""The steps that every request with pictures goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from s3fd.inference.detector import Detector
from s3fd.serving import bodies
from s3fd.serving.bodies import Upload
from s3fd.serving.finding import Found
from s3fd.serving.intake import Hold, Intake
from s3fd.serving.metrics import Metrics
from s3fd.serving.passes import Passes
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits
from s3fd.serving.workers import Workers

R = TypeVar("R")

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                },
                "encoding": {"files": {"contentType": "image/*"}},
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""How OpenAPI describes the pictures of a request."""


@dataclass(frozen=True)
class Service:
    """State that the routes share."""

    detector: Detector
    limits: Limits
    workers: Workers
    intake: Intake
    metrics: Metrics
    passes: Passes

    async def read(self, request: Request) -> list[Upload]:
        """Read the pictures of an admitted request, and add their number and bytes to its line in the log.

        It raises the errors of `bodies.read`.
        """
        uploads = await bodies.read(request, self.limits, request.state.hold)
        request.state.told.update(pictures=len(uploads), bytes=sum(len(one.data) for one in uploads))
        return uploads

    def count(self, request: Request, found: Sequence[Found]) -> None:
        """Count a request's pictures and their faces, and add the faces to its line in the log."""
        faces = sum(one.record.found for one in found)
        request.state.told["faces"] = faces
        for one in found:
            self.metrics.pictures.labels(str(one.status)).inc()
        self.metrics.faces.inc(faces)


@asynccontextmanager
async def admitted(service: Service, request: Request) -> AsyncIterator[Hold]:
    """Count a request in the block; if there is no room for it, refuse it before it is read.

    After a refusal, here or in the block, a little more of the request is read, so that its sender sees the
    response.
    """
    try:
        with service.intake.admit(request.client.host if request.client else "") as hold:
            service.workers.check_room(1)
            yield hold
    except Problem as problem:
        if not await bodies.drain(request):
            problem.headers["Connection"] = "close"
        raise


async def unless_gone(request: Request, work: Awaitable[R]) -> R:
    """Await `work`; if the client disconnects first, cancel it and raise ClientDisconnect."""
    leaving = asyncio.ensure_future(request.receive())  # after its body, a request has no other message
    with anyio.CancelScope() as scope:
        leaving.add_done_callback(lambda done: None if done.cancelled() else scope.cancel())
        try:
            return await work
        finally:
            leaving.cancel()
    raise ClientDisconnect
