"""Routes that take pictures: a request is admitted first, and then all of its options are checked at once.

FastAPI only describes these routes. Its routing, and its checks of one option after another, take longer than
everything else that the service does apart from processing the picture. They would also run before the route
is called, even for requests that are then refused because the queue is full.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from s3fd.serving import problems
from s3fd.serving.admission import Service, admitted


class PictureRoutes:
    """ASGI middleware that answers POST requests to routes for pictures, and passes on all other requests.

    An endpoint receives the request, whose ``state.hold`` counts the bytes that it holds, and the options,
    all of which must be query parameters.
    """

    def __init__(self, app: ASGIApp, *, service: Service, routes: Sequence[BaseRoute]) -> None:
        """Take over the POST routes among `routes`; `service` admits their requests."""
        self._app = app
        self._service = service
        self._routes = {
            route.path: (route, options_of(route.endpoint))
            for route in routes
            if isinstance(route, APIRoute) and "POST" in (route.methods or ())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._routes:
            await self._app(scope, receive, send)
            return
        route, options = self._routes[scope["path"]]
        scope["route"] = route
        request = Request(scope, receive, send)
        async with admitted(self._service, request) as request.state.hold:
            response: Response = await route.endpoint(request, **dict(_given(options, request)))
        await response(scope, receive, send)


def _given(options: type[BaseModel], request: Request) -> BaseModel:
    """Return the options in a request's query; raises a `Problem` (422) if one is wrong or repeated."""
    _refuse_repeated(request)
    try:
        return options.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise problems.invalid(error.errors()) from error


async def no_other_options(request: Request) -> None:
    """Raise a `Problem` (422) if an option of a route without pictures is unknown or repeated."""
    _refuse_repeated(request)
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    if others := [name for name in request.query_params if name not in known]:
        raise problems.invalid([{"type": "extra_forbidden", "loc": [name]} for name in others])


def _refuse_repeated(request: Request) -> None:
    """Raise a `Problem` (422) if an option is given more than once."""
    times = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := [name for name, count in times.items() if count > 1]:
        raise problems.invalid(
            [{"type": "repeated", "loc": [name], "msg": "given more than once"} for name in repeated]
        )


def options_of(endpoint: Callable[..., Any]) -> type[BaseModel]:
    """Create a model of all parameters of an endpoint except its request.

    It refuses others: a misspelt option that was ignored would give a wrong answer.
    """
    hints = get_type_hints(endpoint, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(endpoint).parameters.items()
        if hints[name] is not Request
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
