"""The compose file's commands and health checks, run where no container engine is at hand.

What only an engine can show, such as the rights within the images, is not tested.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from serving.conftest import Process, Slow, running, until
from serving.home import Home
from serving.test_dockerfile import BUILD, ROOT, RUN, values

from s3fd.identity.galleries import is_server
from s3fd.serving.client import Client

TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
GIVEN = {
    "S3FD_API_KEY": "a-key-of-sixteen-characters",
    "S3FD_DB_PASSWORD": "a pass/word: with @ all",
}
"""What whoever starts it exports."""

NEEDED = re.compile(r"\$\{(\w+):\?[^}]+\}")
"""A variable without which compose refuses to start, and says what it should be."""


def filled(value: Any) -> Any:
    """A value of the file with the variables in it replaced, as compose does."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return NEEDED.sub(lambda found: GIVEN[found[1]], value) if isinstance(value, str) else value


FILE = yaml.safe_load(TEXT)
SERVICES = filled(FILE["services"])
OURS, SERVER = SERVICES["s3fd"], SERVICES["postgres"]
PLACE = OURS["command"][1]
IMAGES_CHECK = json.loads(values(RUN, "HEALTHCHECK")[0].partition(" CMD ")[2])


def test_what_is_secret_or_somebodys_own_comes_from_the_environment() -> None:
    assert set(NEEDED.findall(TEXT)) == set(GIVEN)
    assert "$" not in json.dumps(SERVICES)
    assert OURS["environment"]["S3FD_API_KEY"] == GIVEN["S3FD_API_KEY"]
    password = SERVER["environment"]["POSTGRES_PASSWORD"]
    assert OURS["environment"]["PGPASSWORD"] == password == GIVEN["S3FD_DB_PASSWORD"]
    header = TEXT[: TEXT.index("services:")]
    assert all(f"{name}=" in header for name in GIVEN)


def test_nothing_but_this_machine_reaches_it_and_nothing_runs_as_root() -> None:
    assert [port.split(":")[0] for port in OURS["ports"]] == ["127.0.0.1"]
    assert OURS["ports"][0].endswith(f":{values(RUN, 'EXPOSE')[0]}")
    assert "ports" not in SERVER
    assert all(FILE["networks"][name]["internal"] for name in SERVER["networks"])
    assert set(SERVER["networks"]) < set(OURS["networks"])
    assert SERVER["user"] == "postgres"
    assert "user" not in OURS  # that of the image, which is none with rights: test_dockerfile.py
    for service in SERVICES.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and not service.get("privileged")
        assert "no-new-privileges:true" in service["security_opt"]


def test_podman_and_podman_compose_read_it_as_docker_does() -> None:
    for service in SERVICES.values():
        assert " " not in "".join(service["healthcheck"]["test"])  # at which older Podman takes a word apart
        assert set(service["networks"]) <= set(FILE["networks"])  # also the one named default


@pytest.mark.parametrize("check", [IMAGES_CHECK, OURS["healthcheck"]["test"][1:]], ids=["image", "compose"])
def test_the_checks_ask_no_proxy(check: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker gives containers the proxy of the machine's user, often without a word on 127.0.0.1."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert check[0] == "python"
    with running(Slow(0)) as url:
        words = [word.replace("http://127.0.0.1:8000", url) for word in check[1:]]
        assert subprocess.run([sys.executable, *words], timeout=60).returncode == 0


def test_people_are_kept_in_a_volume_and_the_server_comes_first() -> None:
    (mounted,) = SERVER["volumes"]
    name, folder = mounted.split(":")
    assert name in FILE["volumes"] and folder == "/var/lib/postgresql/data"
    assert "pgvector/pgvector:" in SERVER["image"] and "latest" not in SERVER["image"]
    assert OURS["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_image_brings_what_the_command_needs() -> None:
    (install,) = (line for line in values(BUILD, "RUN") if "pip install" in line)
    extras = re.search(r"\.\[(.+?)\]", install)
    assert is_server(PLACE) and extras is not None
    assert {"serve", "postgres"} <= set(extras[1].split(","))
    host = re.search(r"@(\w+)/", PLACE)
    assert host is not None and host[1] in SERVICES


def test_the_memory_is_enough_for_the_largest_pictures() -> None:
    """Measured with `size=auto` and 49 megapixels: 0.7 GB per worker; requests hold 0.3 GB in addition."""
    options = OURS["command"]
    workers = int(options[options.index("--workers") + 1])
    gigabytes = int(OURS["mem_limit"].removesuffix("g")) * 2**30 / 1e9
    assert 0.2 + 0.7 * workers + 0.3 < gigabytes


@pytest.fixture(scope="module")
def place(postgres: Any) -> str:
    """The URL of the file, in a database as the image of the server makes it: of its owner, and empty."""
    user, database = SERVER["environment"]["POSTGRES_USER"], SERVER["environment"]["POSTGRES_DB"]
    postgres.execute(f"CREATE ROLE {user} SUPERUSER LOGIN")
    postgres.execute(f"CREATE DATABASE {database} OWNER {user}")
    return PLACE.replace("@postgres/", "@/") + f"?host={postgres.folder}"


@pytest.fixture(scope="module")
def service(place: str) -> Iterator[Process]:
    """The command of the file, with the place of this machine's server in it."""
    (entry,) = values(RUN, "ENTRYPOINT")
    words = [word.replace(PLACE, place) for word in OURS["command"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", OURS["environment"]["PGPASSWORD"])
        process = Process(*json.loads(entry)[2:], *words, "--deadline", "60", key=GIVEN["S3FD_API_KEY"])
    yield process
    process.stop()
    assert not any(secret in "".join([process.said, *process.lines]) for secret in GIVEN.values())


def test_the_command_serves_and_the_checks_tell_what_is_well(
    service: Process, home: Home, postgres: Any
) -> None:
    url = service.url.replace("0.0.0.0", "127.0.0.1")

    def ours() -> bool:
        kind, program, *words = OURS["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        words = [word.replace("http://127.0.0.1:8000", url) for word in words]
        return subprocess.run([sys.executable, *words], capture_output=True, timeout=60).returncode == 0

    def servers() -> bool:
        kind, program, *words = SERVER["healthcheck"]["test"]
        assert kind == "CMD"
        words = [word.replace("--host=127.0.0.1", f"--host={postgres.folder}") for word in words]
        return subprocess.run([postgres.programs / program, *words], timeout=60).returncode == 0

    with Client(url, api_key=GIVEN["S3FD_API_KEY"]) as client:
        client.gallery.enrol("Ada", home.ada)
        assert client.gallery.identify(home.ada_again, threshold=0.5).identities[0].name == "Ada"
        assert servers() and ours()
        with postgres.away():
            assert not servers() and not ours()
        assert servers()
        until(ours)
        assert client.gallery.people() == {"Ada": 1}
