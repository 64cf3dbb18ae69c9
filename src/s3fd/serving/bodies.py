"""Reads the pictures of a request, into memory only, within limits on bytes, files and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from s3fd.counted import counted
from s3fd.serving.intake import Hold
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits

DRAIN_BYTES = 2**20
DRAIN_SECONDS = 1.0
"""How much of a refused request is still read, so that its sender sees the response and not a reset."""

FIELD = b"files"
"""Field of a form whose pictures may come without a file name; others without one are options, misplaced."""

LONGEST_NAME = 1000
"""Maximum characters of a file name; longer names are cut off."""


@dataclass
class Upload:
    """A picture as it was sent.

    Attributes:
        name: the file name as sent; None for the bytes of a picture without a form.
        data: the contents of the file.
    """

    name: str | None
    data: bytearray = field(default_factory=bytearray, repr=False)


async def read(request: Request, limits: Limits, hold: Hold) -> list[Upload]:
    """Read the pictures of a request.

    Raises:
        ClientDisconnect: the client has disconnected.
        Problem: with status 400 (invalid form), 408 (too slow), 413 (too many bytes or files), 415 (neither a
            form nor a picture, or compressed), 422 (no picture, or a field that is no file) or 503 (all
            requests together hold too many bytes).
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    kind = kind.lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Content-Encoding is not supported: send the body uncompressed.")
    form = kind == b"multipart/form-data"
    if not form and kind not in (b"", b"application/octet-stream") and not kind.startswith(b"image/"):
        raise Problem(415, "Send multipart/form-data with files, or the bytes of a picture as image/*.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body:
        raise _too_large(limits)
    sink = _Form(options, limits) if form else _Raw()
    request.state.ended = False
    with anyio.move_on_after(limits.upload) as scope:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > limits.body:
                raise _too_large(limits)
            hold.add(len(chunk))
            sink.feed(chunk)
        request.state.ended = True
    if scope.cancelled_caught:
        raise Problem(408, f"The request did not arrive within {limits.upload:g} seconds.")
    return sink.finish()


async def drain(request: Request) -> bool:
    """Read on for a short time after a refusal; return whether the request has ended.

    A client that waits for "100 Continue" is not read from, because reading tells it to send the body.
    """
    ended = getattr(request.state, "ended", None)
    if ended is None and request.headers.get("expect", "").lower() == "100-continue":
        return False
    if ended:
        return True
    rest = DRAIN_BYTES
    try:
        with anyio.move_on_after(DRAIN_SECONDS):
            while rest > 0:
                message = await request.receive()
                if message["type"] != "http.request":
                    return False
                if not message.get("more_body"):
                    return True
                rest -= len(message.get("body", b""))
    except ClientDisconnect:
        pass
    return False


def _too_large(limits: Limits) -> Problem:
    return Problem(413, f"A request can have at most {limits.body:,} bytes.")


class _Raw:
    """A body that is a picture."""

    def __init__(self) -> None:
        self._upload = Upload(None)

    def feed(self, chunk: bytes) -> None:
        self._upload.data += chunk

    def finish(self) -> list[Upload]:
        if not self._upload.data:
            raise Problem(422, "The request has no picture.")
        return [self._upload]


class _Form:
    """A body of parts, each of which is a picture."""

    def __init__(self, options: Mapping[bytes, bytes], limits: Limits) -> None:
        self._limits = limits
        self._uploads: list[Upload] = []
        self._field = self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                options.get(b"boundary", b""),
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._data,
                    "on_header_begin": self._header_begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Problem(400, "The boundary of the form is too long.") from error
        if not options.get(b"boundary"):
            raise Problem(400, "The form has no boundary.")

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Problem(400, "The form is not valid multipart/form-data.") from error

    def finish(self) -> list[Upload]:
        if not self._ended:
            raise Problem(400, "The form ends before its last boundary.")
        if not self._uploads:
            raise Problem(422, "The request has no picture.")
        return self._uploads

    def _begin(self) -> None:
        if len(self._uploads) == self._limits.files:
            raise Problem(413, f"A request can have at most {counted(self._limits.files, 'file')}.")
        self._uploads.append(Upload(None))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._uploads[-1].data += data[start:end]

    def _header_begin(self) -> None:
        self._field = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            if b"filename" in options:
                self._uploads[-1].name = options[b"filename"].decode("utf-8", "replace")[:LONGEST_NAME]
            elif options.get(b"name", FIELD) != FIELD:
                raise Problem(422, "The form has a field that is not a file; send options in the query.")

    def _end(self) -> None:
        self._ended = True
