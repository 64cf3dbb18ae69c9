"""How much all requests together, and those of one client, may take."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from s3fd.serving.intake import Intake
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits


def test_requests_hold_so_many_bytes_together_and_give_them_back() -> None:
    intake = Intake(Limits(body=60, held=100))
    with intake.admit("a") as first:
        first.add(60)
        with intake.admit("b") as second:
            second.add(30)
            with pytest.raises(Problem) as refused:
                second.add(11)
            second.add(10)  # the refused bytes were not counted
            assert (first.bytes, second.bytes, intake.bytes) == (60, 40, 100)
        first.add(40)
    assert refused.value.status == 503 and refused.value.headers["Retry-After"] == "1"
    assert intake.bytes == 0


def test_a_client_has_so_many_requests_at_a_time() -> None:
    intake = Intake(Limits(per_client=2))
    with intake.admit("a"):
        with intake.admit("a"), intake.admit("b"):
            with pytest.raises(Problem) as refused, intake.admit("a"):
                pass
            assert intake.requests == {"a": 2, "b": 1}
        with intake.admit("a"):
            assert intake.requests["a"] == 2
    assert refused.value.status == 429 and refused.value.headers["Retry-After"] == "1"
    assert not intake.requests


def test_a_request_that_fails_gives_back_what_it_held() -> None:
    intake = Intake(Limits())
    with pytest.raises(RuntimeError), intake.admit("a") as hold:
        hold.add(5)
        raise RuntimeError
    assert intake.bytes == 0 and not intake.requests


def test_without_a_limit_a_client_has_any_number() -> None:
    intake = Intake(Limits(per_client=None))
    with ExitStack() as all_at_once:
        for _ in range(100):
            all_at_once.enter_context(intake.admit("a"))
        assert intake.requests["a"] == 100
