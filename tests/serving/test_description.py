"""What /openapi.json tells, next to what the service does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving.conftest import Slow, check_problem, running
from serving.home import Home

KEY = "a-key-of-sixteen-characters"


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    """A service that requires a key."""
    with running(Slow(0), key=KEY, gallery=home.served()) as address:
        yield address


def described(url: str) -> Any:
    return httpx.get(f"{url}/openapi.json", trust_env=False).json()


def operations(description: Any) -> list[tuple[str, str, Any]]:
    """Method, path and description of each."""
    paths = description["paths"].items()
    return [(method, path, what) for path, methods in paths for method, what in methods.items()]


def test_the_key_is_required_where_it_says_so(url: str) -> None:
    description = described(url)
    ((name, scheme),) = description["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    asked = set()
    for method, path, operation in operations(description):
        answer = httpx.request(method, url + path, trust_env=False)
        assert (answer.status_code == 401) == ("security" in operation), path
        if answer.status_code == 401:
            asked.add(path)
            assert operation["security"] == [{name: []}]
            assert "401" in operation["responses"], path
            headers = {"Authorization": f"Bearer {KEY}"}
            assert httpx.request(method, url + path, headers=headers, trust_env=False).status_code != 401
    assert {"/v1/detect", "/v1/model", "/v1/gallery/people", "/metrics"} <= asked


def test_without_a_key_the_header_may_be_sent() -> None:
    with running(Slow(0)) as url:
        assert described(url)["paths"]["/v1/model"]["get"]["security"] == [{}, {"key": []}]
        headers = {"Authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}/v1/model", headers=headers, trust_env=False).status_code == 200


def test_errors_have_one_form(url: str) -> None:
    description = described(url)
    for _, path, operation in operations(description):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (path, status)
                (content,) = response["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemBody"}
        foreign = httpx.request("GET", url + path, headers={"Origin": "http://example.org"}, trust_env=False)
        check_problem(foreign, 403)
        assert {"403", "421"} <= set(operation["responses"]), path
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_the_errors_of_options_are_described(url: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.get(f"{url}/v1/gallery/people?limit=0", headers=headers, trust_env=False)
    check_problem(answer, 422)
    schemas = described(url)["components"]["schemas"]
    assert set(answer.json()) <= set(schemas["ProblemBody"]["properties"])
    assert set(answer.json()["errors"][0]) == set(schemas["InvalidOption"]["properties"])


def test_the_example_is_a_true_answer(url: str, example: Path) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    files = {"files": (example.name, example.read_bytes())}
    answer = httpx.post(
        f"{url}/v1/detect?attributes=gender", files=files, headers=headers, timeout=60, trust_env=False
    )
    assert answer.json() == described(url)["components"]["schemas"]["Answer"]["examples"][0]


def test_no_other_address_is_named_for_a_path_with_a_slash_too_many(url: str) -> None:
    """A client would follow with its key: behind a proxy, to http:// and perhaps to another machine."""
    headers = {"Authorization": f"Bearer {KEY}", "Host": "127.0.0.1"}
    for path in ("/v1/model/", "/v1/detect/", "/page"):
        answer = httpx.get(url + path, headers=headers, trust_env=False)
        check_problem(answer, 404)
        assert "location" not in answer.headers
