"""What OpenAPI tells about every route alike: the API key, and the form of errors."""

from __future__ import annotations

from fastapi import FastAPI

from s3fd.serving.gate import OPEN
from s3fd.serving.problems import MEDIA_TYPE

SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "The API key of the service, in the header `Authorization: Bearer KEY`.",
}


def complete(app: FastAPI, key: bool) -> None:
    """Complete the description of `app`, whose routes have all been added; `key` says if it requires a key.

    Without a key, the service ignores the header, so that clients made from the description can always send
    one.
    """
    described = app.openapi()  # FastAPI keeps it, and returns the same one from now on
    described["components"]["securitySchemes"] = {"key": SCHEME}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            if path not in OPEN:
                operation["security"] = [{"key": []}] if key else [{}, {"key": []}]
            for response in operation["responses"].values():
                content = response.get("content", {})
                if MEDIA_TYPE in content:  # FastAPI adds the type that answers without an error have
                    response["content"] = {MEDIA_TYPE: content[MEDIA_TYPE]}
