"""A client of the service: ``Client("http://127.0.0.1:8000").detect("photo.jpg")``."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from s3fd.faces import Faces
from s3fd.inference.records import Record

LONGEST_WAIT = 10.0
"""Seconds before another try, whatever the service asks for."""


class ServiceError(Exception):
    """A request that the service refused.

    Attributes:
        status: the HTTP status; 0 if the service could not be reached.
        detail: why.
        retry_after: seconds after which another try makes sense; None if it never does.
    """

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        """Say what the service answered."""
        super().__init__(f"{status}: {detail}" if status else detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True)
class Model:
    """What runs in the service.

    Attributes:
        version: of s3fd.
        engine: what runs the network.
        device: ``cpu`` or ``cuda``.
        attributes: what can be told of a face, with its values in order.
        max_bytes: of a request.
        max_files: of a request.
        max_pixels: of a picture.
    """

    version: str
    engine: str
    device: str
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_bytes: int = 0
    max_files: int = 0
    max_pixels: int = 0


class Client:
    """Talks to one service and keeps its connections; usable in a ``with`` block and in threads."""

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 60.0, retries: int = 3
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: where the service is, such as ``http://127.0.0.1:8000``.
            api_key: if it asks for one.
            timeout: seconds to wait for an answer.
            retries: more tries where the service is busy, each after the time that it asks for.
        """
        headers = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
        # Proxies of the environment are not for a service that is addressed by name.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._retries = retries

    def __enter__(self) -> Client:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def detect(self, picture: str | os.PathLike[str] | bytes, **options: Any) -> Record:
        """Find the faces of a picture: a file name, or a file's bytes.

        Args:
            picture: what is sent, as it is.
            options: ``size``, ``min_score``, ``min_size``, ``attributes`` (a sequence of names) and
                ``min_probability``, as for `s3fd detect`.

        Raises:
            OSError: the file cannot be read.
            ServiceError: the picture or the options are refused, or the service cannot be reached.
        """
        return self.detect_many([picture], **options)[0]

    def detect_many(self, pictures: Sequence[str | os.PathLike[str] | bytes], **options: Any) -> list[Record]:
        """Find the faces of several pictures with one request, in order; as `detect`.

        Of several pictures, one that cannot be read has a record with an error.
        """
        files = [("files", _file(picture)) for picture in pictures]
        attributes = options.get("attributes")
        if attributes is not None and not isinstance(attributes, str):
            options["attributes"] = ",".join(attributes)
        answer = self._ask("POST", "/v1/detect", params=options, files=files)
        return [_record(record) for record in answer["pictures"]]

    def model(self) -> Model:
        """Ask what runs in the service; raises ServiceError."""
        return Model(**self._ask("GET", "/v1/model"))

    def ready(self) -> bool:
        """Whether the service takes pictures now."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        """Send a request, again if the service is busy; return the answer's JSON."""
        for tries in range(self._retries + 1):
            try:
                return self._ask_once(method, path, **request)
            except ServiceError as error:
                if error.retry_after is None or tries == self._retries:
                    raise
                time.sleep(min(error.retry_after, LONGEST_WAIT))
        raise AssertionError("unreachable")

    def _ask_once(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ServiceError(0, str(error) or type(error).__name__) from error
        if answer.is_success:
            return answer.json()
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = answer.reason_phrase
        after = answer.headers.get("Retry-After", "")
        raise ServiceError(answer.status_code, detail, float(after) if after.isdigit() else None)


def _file(picture: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """A file's name and bytes."""
    if isinstance(picture, bytes):
        return "picture", picture
    return Path(picture).name, Path(picture).read_bytes()


def _record(answer: Mapping[str, Any]) -> Record:
    """A record as the service wrote it."""
    faces = answer.get("faces")
    if faces is None:
        return Record(answer["path"], error=answer["error"])
    return Record(answer["path"], _faces(faces), answer["width"], answer["height"])


def _faces(faces: Sequence[Mapping[str, Any]]) -> Faces:
    """Faces with the columns that `Detector` gives them."""
    columns: dict[str, NDArray[Any]] = {}
    for name in faces[0] if faces else ():
        if name not in ("box", "score"):
            values = [face[name] for face in faces]
            columns[name] = np.array(values, dtype=np.float32 if name.endswith("_probability") else object)
    return Faces(
        np.array([face["box"] for face in faces], np.float32).reshape(-1, 4),
        np.array([face["score"] for face in faces], np.float32),
        columns,
    )
