"""What goes wrong, as RFC 9457 has it: a status and a JSON body of the type ``application/problem+json``."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

GONE = 499
"""In the log, of a client that did not wait for its answer: nginx's number for it."""

UNEXPECTED = "Something went wrong here; the log says what."

TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's titles where Python's `http` has older ones."""


class Problem(Exception):
    """A request that is answered with a status of 400 or more.

    Attributes:
        status: the HTTP status.
        detail: one sentence for whoever sent the request.
        headers: of the answer, such as ``Retry-After``.
        more: members of the body beside the standard ones.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        """Say what is wrong."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> JSONResponse:
        """Return the answer."""
        body = {"type": "about:blank", "title": title(self.status), "status": self.status}
        return JSONResponse(
            {**body, "detail": self.detail, **self.more},
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def busy(status: int, detail: str, seconds: int = 1) -> Problem:
    """Return a refusal that is worth another try after so many seconds."""
    return Problem(status, detail, headers={"Retry-After": str(seconds)})


def late(seconds: float = 0) -> Problem:
    """Return what is said of a request that took too long: longer than `seconds`, if they are given."""
    within = f" within {seconds:.3g} seconds" if seconds else " in time"
    return Problem(504, f"There is no answer{within}.")


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return a refusal of options, from pydantic's errors; what was sent is not repeated."""
    wrong = [{"parameter": str(one["loc"][-1]), "detail": str(one["msg"])} for one in errors]
    detail = "; ".join(f"{one['parameter']}: {one['detail']}" for one in wrong)
    return Problem(422, detail, errors=wrong)


def title(status: int) -> str:
    """Name of a status."""
    return TITLES.get(status) or http.HTTPStatus(status).phrase


def install(app: FastAPI) -> None:
    """Let `app` answer in this form what is refused; what nobody foresaw is the gate's to answer."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What routing raises: no such path, no such method."""
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response()
