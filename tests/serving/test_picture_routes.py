from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from serving.conftest import Slow, check_problem, running

from s3fd.serving import finding
from s3fd.serving.settings import Limits

JPEG = {"Content-Type": "image/jpeg"}


def test_all_that_is_wrong_with_the_options_is_told_at_once(example: Path) -> None:
    options = {"min_score": "2", "min_size": "small", "size": "vga", "min_sise": "1"}
    with running(Slow(0), Limits()) as url:
        answer = httpx.post(
            f"{url}/v1/detect", content=example.read_bytes(), headers=JPEG, params=options, trust_env=False
        )
        check_problem(answer, 422)
        wrong = {one["parameter"]: one["detail"] for one in answer.json()["errors"]}
    assert set(wrong) == {"min_score", "min_size", "min_sise"}
    assert wrong["min_sise"] == "no such option"
    assert wrong["min_score"] == "Input should be less than or equal to 1"
    assert "small" not in answer.json()["detail"]


def test_other_methods_and_paths_are_told_of() -> None:
    with running(Slow(0), Limits()) as url:
        check_problem(httpx.get(f"{url}/v1/detect", trust_env=False), 405)
        check_problem(httpx.post(f"{url}/v1/model", trust_env=False), 405)
        check_problem(httpx.post(f"{url}/v1/detects", trust_env=False), 404)


def test_what_nobody_foresaw_is_answered_too(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("secret")

    with running(Slow(0), Limits()) as url:
        data = example.read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr(finding, "with_options", broken)
            answer = httpx.post(f"{url}/v1/detect", content=data, headers=JPEG, trust_env=False)
            check_problem(answer, 500)
            assert "secret" not in answer.text
            assert answer.headers["x-request-id"] and answer.headers["x-content-type-options"] == "nosniff"
        again = httpx.post(f"{url}/v1/detect", content=data, headers=JPEG, trust_env=False, timeout=60)
        assert again.status_code == 200
