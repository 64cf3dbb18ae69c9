"""A client of the service: ``Client("http://127.0.0.1:8000").detect("photo.jpg")``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from s3fd.closing import Closing
from s3fd.extras import missing
from s3fd.inference.records import Record
from s3fd.serving.gallery_client import GalleryClient
from s3fd.serving.transfer import Picture, files, known, parameters, record

try:
    import httpx
except ModuleNotFoundError as error:
    raise missing(error, "the client needs", "serve") from error

T = TypeVar("T")

LONGEST_WAIT = 10.0
"""Maximum seconds to wait before a retry, whatever the service asks for."""


class ServiceError(Exception):
    """A failed request: the service refused it or could not be reached.

    Attributes:
        status: the HTTP status; 0 if the service could not be reached, that of a success (such as 200) if
            something other than s3fd answered.
        detail: the reason.
        retry_after: seconds after which the service suggests a retry; None if it does not suggest one.
    """

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        """Create the error from what the service answered."""
        super().__init__(f"{status}: {detail}" if status else detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[ServiceError], tuple[int, str, float | None]]:
        """Support pickling: by default, an exception is recreated from its message alone."""
        return type(self), (self.status, self.detail, self.retry_after)


@dataclass(frozen=True)
class Model:
    """The model that the service runs, and its limits.

    Attributes:
        version: version of s3fd.
        engine: inference engine that runs the network.
        device: ``cpu`` or ``cuda``.
        attributes: face attributes that the model predicts, each with its classes in order.
        max_bytes: maximum bytes of a request.
        max_files: maximum files of a request.
        max_pixels: maximum pixels of a picture.
        gallery: whether the service has a gallery to identify people.
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
    """Client of one service, which keeps its connections; usable in a ``with`` block and by several threads.

    Attributes:
        gallery: client of the service's gallery, if it has one (`s3fd.serving.gallery_client`).
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 60.0, retries: int = 3
    ) -> None:
        """Create a client; nothing is sent yet.

        Args:
            url: address of the service, such as ``http://127.0.0.1:8000``.
            api_key: API key, if the service requires one.
            timeout: seconds to wait for a response.
            retries: maximum retries while the service is busy, each after the delay that it asks for.
        """
        headers = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
        # Proxies set in the environment are not meant for a service that is addressed explicitly.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._retries = retries
        self.gallery = GalleryClient(self._ask)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def detect(self, picture: Picture, **options: Any) -> Record:
        """Find the faces in a picture.

        Args:
            picture: a file name, or the bytes of a file; they are sent unchanged.
            options: ``size``, ``min_score``, ``min_size``, ``attributes`` (a sequence of names) and
                ``min_probability``, as for `s3fd detect`.

        Raises:
            OSError: the file cannot be read.
            ServiceError: the service refuses the picture or the options, or cannot be reached.
        """
        return self.detect_many([picture], **options)[0]

    def detect_many(self, pictures: Sequence[Picture], **options: Any) -> list[Record]:
        """Find the faces in several pictures with one request; see `detect`.

        The records are in the order of the pictures. If one of several pictures cannot be read, its record
        has an error.
        """
        return self._ask(
            "POST",
            "/v1/detect",
            lambda answer: [record(one) for one in answer["pictures"]],
            params=parameters(**options),
            files=files(pictures),
        )

    def model(self) -> Model:
        """Return the model and the limits of the service; raises ServiceError."""
        return self._ask("GET", "/v1/model", partial(known, Model))

    def ready(self) -> bool:
        """Return whether the service accepts pictures now."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _ask(self, method: str, path: str, parse: Callable[[Any], T], **request: Any) -> T:
        """Send a request, and retry while the service is busy; return what `parse` makes of the answer."""
        for tries in range(self._retries + 1):
            try:
                return self._ask_once(method, path, parse, **request)
            except ServiceError as error:
                if error.retry_after is None or tries == self._retries:
                    raise
                time.sleep(min(error.retry_after, LONGEST_WAIT))
        raise AssertionError("unreachable")

    def _ask_once(self, method: str, path: str, parse: Callable[[Any], T], **request: Any) -> T:
        try:
            answer = self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(0, str(error) or type(error).__name__) from error
        if answer.is_success:
            try:
                return parse(answer.json())
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                what = f"the server at {self._http.base_url} is not s3fd, or another version of it"
                raise ServiceError(answer.status_code, what) from error
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = answer.reason_phrase
        after = answer.headers.get("Retry-After", "")
        raise ServiceError(answer.status_code, detail, float(after) if after.isdigit() else None)
