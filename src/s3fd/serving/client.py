"""A client of the service: ``Client("http://127.0.0.1:8000").detect("photo.jpg")``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3fd.closing import Closing
from s3fd.extras import how_to_install
from s3fd.inference.records import Record
from s3fd.serving.gallery_client import GalleryClient
from s3fd.serving.transfer import Picture, files, parameters, record

try:
    import httpx
except ModuleNotFoundError as error:
    message = how_to_install(error, "the client needs", "serve")
    raise ModuleNotFoundError(message, name=error.name) from error

LONGEST_WAIT = 10.0
"""Seconds before another try, whatever the service asks for."""


class ServiceError(Exception):
    """A request that the service refused.

    Attributes:
        status: the HTTP status; 0 if the service could not be reached, 200 if it is something else.
        detail: why.
        retry_after: seconds after which another try makes sense; None if it never does.
    """

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        """Say what the service answered."""
        super().__init__(f"{status}: {detail}" if status else detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[ServiceError], tuple[int, str, float | None]]:
        """Let another process raise it: an exception is copied by its message alone otherwise."""
        return type(self), (self.status, self.detail, self.retry_after)


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
        gallery: whether there are people to be identified.
    """

    version: str
    engine: str
    device: str
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_bytes: int = 0
    max_files: int = 0
    max_pixels: int = 0
    gallery: bool = False


class Client(Closing):
    """Talks to one service and keeps its connections; usable in a ``with`` block and in threads.

    Attributes:
        gallery: what can be asked of its gallery, if it has one (`s3fd.serving.gallery_client`).
    """

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
        self.gallery = GalleryClient(self._ask)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def detect(self, picture: Picture, **options: Any) -> Record:
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

    def detect_many(self, pictures: Sequence[Picture], **options: Any) -> list[Record]:
        """Find the faces of several pictures with one request, in order; as `detect`.

        Of several pictures, one that cannot be read has a record with an error.
        """
        answer = self._ask("POST", "/v1/detect", params=parameters(**options), files=files(pictures))
        return [record(one) for one in answer["pictures"]]

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
            try:
                return answer.json()
            except ValueError as error:
                what = f"what answers at {self._http.base_url} is not s3fd"
                raise ServiceError(answer.status_code, what) from error
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = answer.reason_phrase
        after = answer.headers.get("Retry-After", "")
        raise ServiceError(answer.status_code, detail, float(after) if after.isdigit() else None)
