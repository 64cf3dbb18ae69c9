"""Forms, in pieces of any size and broken in any way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from s3fd.serving import bodies
from s3fd.serving.bodies import Upload
from s3fd.serving.intake import Intake
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits

BOUNDARY = b"x-boundary"
LIMITS = Limits(body=5000, held=5000, files=3)
HEADERS = [(b"content-type", b'multipart/form-data; boundary="' + BOUNDARY + b'"')]


def read(pieces: Sequence[bytes]) -> list[Upload]:
    """Read a form that arrives in these pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> dict[str, object]:
        return next(waiting)

    async def run() -> list[Upload]:
        intake = Intake(LIMITS)
        request = Request({"type": "http", "method": "POST", "headers": HEADERS, "state": {}}, receive)
        try:
            with intake.admit("somebody") as hold:
                return await bodies.read(request, LIMITS, hold)
        finally:
            assert intake.bytes == 0
            assert not intake.requests

    return asyncio.run(run())


def form(files: Sequence[bytes]) -> bytes:
    parts = [
        b"--"
        + BOUNDARY
        + b'\r\nContent-Disposition: form-data; name="files"; filename="%d.jpg"\r\n\r\n' % i
        + data
        for i, data in enumerate(files)
    ]
    return b"\r\n".join([*parts, b"--" + BOUNDARY + b"--\r\n"])


def cut(body: bytes, at: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(i % (len(body) + 1) for i in at), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(edges)]


FILES = st.lists(st.binary(max_size=300), min_size=1, max_size=3)
CUTS = st.lists(st.integers(0, 5000), max_size=12)


@given(FILES, CUTS)
def test_a_form_is_the_same_in_any_pieces(files: list[bytes], at: list[int]) -> None:
    uploads = read(cut(form(files), at))
    assert [(u.name, bytes(u.data)) for u in uploads] == [(f"{i}.jpg", d) for i, d in enumerate(files)]


@given(FILES, CUTS, st.integers(0, 5000), st.binary(max_size=30))
def test_a_broken_form_is_read_or_refused(files: list[bytes], at: list[int], where: int, what: bytes) -> None:
    whole = form(files)
    where %= len(whole)
    try:
        read(cut(whole[:where] + what + whole[where + len(what) :], at))
    except Problem as problem:
        assert problem.status in (400, 413, 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form([b"a"] * 4), 413),
        (form([b"a" * 6000]), 413),
        (form([b"a"])[:-8], 400),
        (form([]), 422),
        (b"--" + BOUNDARY + b"\r\nX: " + b"y" * 4900, 400),
    ],
    ids=["files", "bytes", "no end", "no part", "a header without end"],
)
def test_bounds(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as refused:
        read([body])
    assert refused.value.status == status


def test_options_in_a_form_are_refused_and_not_taken_for_pictures() -> None:
    """As of `curl -F files=@photo.jpg -F size=auto`, which would seem to be answered as asked."""
    option = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="size"\r\n\r\nauto\r\n'
    with pytest.raises(Problem, match="send options in the query") as refused:
        read([option + form([b"a"])])
    assert refused.value.status == 422


def test_a_picture_may_have_no_name() -> None:
    """As of .NET's `MultipartFormDataContent`, if it is told none."""
    (upload,) = read([form([b"a"]).replace(b'; filename="0.jpg"', b"")])
    assert (upload.name, bytes(upload.data)) == (None, b"a")


def test_names_are_text_of_bounded_length() -> None:
    body = form([b"a"]).replace(b"0.jpg", b"\xff" + b"n" * 2000)
    (upload,) = read([body])
    assert upload.name is not None
    assert upload.name.startswith("\ufffdn")
    assert len(upload.name) == bodies.LONGEST_NAME
