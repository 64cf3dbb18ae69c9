"""The ASGI application: routes, page and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

import s3fd
from s3fd.inference.detector import Detector
from s3fd.serving import description, detecting, problems
from s3fd.serving.admission import Service
from s3fd.serving.gate import Gate
from s3fd.serving.intake import Intake
from s3fd.serving.keeper import Gallery, Keeper
from s3fd.serving.metrics import CONTENT_TYPE_LATEST, Metrics
from s3fd.serving.models import problem_responses
from s3fd.serving.passes import Passes
from s3fd.serving.picture_routes import PictureRoutes
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits
from s3fd.serving.workers import Workers

PAGE = Path(__file__).parent / "page"


def create_app(
    detector: Detector,
    *,
    workers: int,
    batch: int = 1,
    limits: Limits | None = None,
    key: str | None = None,
    local: bool = True,
    gallery: Gallery | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Build the ASGI application; its threads start and end with it.

    Args:
        detector: finds the faces; its network must run in `workers` threads at a time (the ``streams`` of
            `open_runtime`).
        workers: number of pictures that are processed at the same time.
        batch: maximum number of these that share a pass of the network.
        limits: limits of each request, and of all requests together.
        key: API key that requests must carry; None for no key.
        local: whether to answer, without a `key`, only requests that are addressed to this machine by a
            loopback name.
        gallery: people to identify; None for the routes of detection only.
        on_ready: called once the network has run and the gallery, if there is one, is open.
    """
    limits = limits or Limits()
    metrics = Metrics()
    service = Service(
        detector, limits, Workers(workers, limits.queue), Intake(limits), metrics, Passes(batch)
    )
    metrics.watch("s3fd_queue_waiting", "Pictures waiting for a worker.", lambda: service.workers.waiting)
    metrics.watch("s3fd_workers_busy", "Pictures being processed.", lambda: service.workers.working)
    metrics.watch("s3fd_held_bytes", "Bytes held by requests in progress.", lambda: service.intake.bytes)
    keeper = Keeper(gallery, limits.queue) if gallery is not None else None
    if keeper is not None:
        metrics.watch("s3fd_gallery_waiting", "Gallery requests that are waiting.", lambda: keeper.waiting)
        metrics.watch("s3fd_gallery_up", "Whether the gallery responds: 1 or 0.", lambda: keeper.answers)
    state = {"ready": False}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        """Warm up the network and the gallery before the first request; end the threads after the last."""
        await anyio.to_thread.run_sync(detector, np.zeros((480, 640, 3), np.uint8))
        if keeper is not None:
            await keeper.begin()
        state["ready"] = True
        on_ready()
        yield
        state["ready"] = False
        await anyio.to_thread.run_sync(service.workers.close)
        if keeper is not None:
            await keeper.close(limits.deadline)

    app = FastAPI(
        title="s3fd",
        version=s3fd.__version__,
        summary="Finds every face in a picture and predicts its attributes, in one pass.",
        docs_url=None,  # that page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to http:// and this host, also behind a proxy with TLS and another name
        lifespan=lifespan,
    )
    problems.install(app)
    routers = [detecting.router(service, gallery is not None)]
    if gallery is not None and keeper is not None:
        from s3fd.serving.gallery import Desk, router

        routers.append(router(Desk(service, gallery, keeper)))
    routers.append(_operation(service, keeper, lambda: state["ready"]))
    for one in routers:
        app.include_router(one)

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))
    routes = [route for one in routers for route in one.routes]
    description.complete(app, key is not None)
    app.add_middleware(PictureRoutes, service=service, routes=routes)
    app.add_middleware(Gate, key=key, local=local, metrics=metrics)
    return app


def _operation(service: Service, keeper: Keeper | None, loaded: Callable[[], bool]) -> APIRouter:
    """Build the routes for whoever operates the service; `loaded` says if the network has run."""
    routes = APIRouter(tags=["operation"])

    @routes.head("/healthz", include_in_schema=False)
    @routes.get(
        "/healthz",
        summary="Check that the process answers",
        responses=problem_responses(403, 421),
    )
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.head("/readyz", include_in_schema=False)
    @routes.get(
        "/readyz",
        summary="Check that pictures are accepted",
        response_model=None,
        responses=problem_responses(403, 421, 503),
    )
    async def ready() -> JSONResponse:
        """Respond with 503 while the network is loading, the queue is full or the service is stopping.

        If there is a gallery, also respond with 503 while it cannot be reached.
        """
        if not loaded():
            raise Problem(503, "Not ready.", headers={"Retry-After": "1"})
        service.workers.check_room(1)
        if keeper is not None:
            await keeper.check()
        return JSONResponse({"status": "ready"})

    @routes.head("/metrics", include_in_schema=False)
    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=PlainTextResponse,
        responses=problem_responses(401, 403, 421),
    )
    async def read_metrics() -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
