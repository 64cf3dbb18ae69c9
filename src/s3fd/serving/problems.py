"""Error responses according to RFC 9457: a status and a JSON body of type ``application/problem+json``."""

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
"""Status in the log for a client that did not wait for its response; nginx uses the same number."""

UNEXPECTED = "Internal error; see the server's log for details."

TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Titles of RFC 9110, where Python's `http` has older ones."""


class Problem(Exception):
    """An error that is answered with a status of 400 or more.

    Attributes:
        status: the HTTP status.
        detail: one sentence for whoever sent the request.
        headers: headers of the response, such as ``Retry-After``.
        more: members of the body in addition to the standard ones.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        """Create a problem; `more` are additional members of the body."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> JSONResponse:
        """Return the response."""
        body = {"type": "about:blank", "title": title(self.status), "status": self.status}
        return JSONResponse(
            {**body, "detail": self.detail, **self.more},
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def busy(status: int, detail: str, seconds: int = 1) -> Problem:
    """Return a refusal that suggests a retry after `seconds`."""
    return Problem(status, detail, headers={"Retry-After": str(seconds)})


def late(seconds: float = 0) -> Problem:
    """Return the refusal of a request that took too long: longer than `seconds`, if given."""
    within = f" within {seconds:.3g} seconds" if seconds else " in time"
    return Problem(504, f"The request could not be completed{within}.")


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return a refusal of invalid options from pydantic's errors, without repeating what was sent."""
    wrong = [{"parameter": str(one["loc"][-1]), "detail": _detail(one)} for one in errors]
    detail = "; ".join(f"{one['parameter']}: {one['detail']}" for one in wrong)
    return Problem(422, detail, errors=wrong)


def _detail(error: Mapping[str, Any]) -> str:
    """Say what is wrong with an option, in pydantic's words, or in better ones."""
    return "no such option" if error["type"] == "extra_forbidden" else str(error["msg"])


def title(status: int) -> str:
    """Return the title of a status."""
    return TITLES.get(status) or http.HTTPStatus(status).phrase


def install(app: FastAPI) -> None:
    """Make `app` answer refusals in this form; unexpected exceptions are left to `s3fd.serving.gate`."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _http(request: Request, error: Exception) -> JSONResponse:
    """Answer what routing raises for an unknown path or method."""
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response()
