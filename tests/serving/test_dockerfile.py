"""The Dockerfile's own steps in a clean virtual environment, for where no container engine is at hand.

Its lines are read and run: what it copies, installs and starts is what is tested. Only the folder is another,
the account is this one, and pip may use its cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from conftest import missing

ROOT = Path(__file__).parents[2]
PREFIX = "/opt/s3fd"
KEY = "a-key-of-sixteen-characters"

UNREACHABLE = (
    "NewConnectionError",
    "name resolution",
    "Network is unreachable",
    "Connection refused",
    "timed out",
)
"""What pip says where there is no index of packages."""


class Step(NamedTuple):
    """An instruction of a Dockerfile."""

    name: str
    value: str


def stages(text: str) -> list[list[Step]]:
    """The instructions of each stage, without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    steps = [Step(*line.split(" ", 1)) for line in lines.replace("\\\n", " ").splitlines() if line]
    starts = [i for i, step in enumerate(steps) if step.name == "FROM"]
    return [steps[a:b] for a, b in zip(starts, [*starts[1:], len(steps)], strict=True)]


BUILD, RUN = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def values(stage: list[Step], name: str) -> list[str]:
    return [step.value for step in stage if step.name == name]


def variables(stage: list[Step], prefix: Path) -> dict[str, str]:
    """The environment of a stage."""
    pairs = [pair.split("=", 1) for value in values(stage, "ENV") for pair in value.split()]
    given = {name: value.replace(PREFIX, str(prefix)) for name, value in pairs}
    path = os.environ["PATH"]
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "VIRTUAL_ENV", "S3FD"))}
    return kept | {name: value.replace("$PATH", path) for name, value in given.items()}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves: the virtual environment, in a folder of its own."""
    home = tmp_path_factory.mktemp("image")
    source, prefix, programs = home / "source", home / "s3fd", home / "bin"
    source.mkdir()
    programs.mkdir()
    (programs / "python").symlink_to(getattr(sys, "_base_executable", sys.executable))
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    environment = variables(BUILD, prefix)
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    del environment["PIP_NO_CACHE_DIR"]
    for step in BUILD:
        if step.name == "COPY":
            *names, target = step.value.split()
            for name in names:
                assert name in sent, f".dockerignore keeps {name} back"
                _copy(ROOT / name, source / target / ("" if target == name else name))
        elif step.name == "RUN":
            command = step.value.replace(PREFIX, str(prefix))
            done = subprocess.run(
                command, shell=True, cwd=source, env=environment, capture_output=True, text=True
            )
            if done.returncode and any(word in done.stderr + done.stdout for word in UNREACHABLE):
                missing("no index of packages can be reached")
            assert done.returncode == 0, done.stdout + done.stderr
    assert values(RUN, "COPY") == [f"--from=build {PREFIX} {PREFIX}"]
    return prefix


def _run(line: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode and any(word in said for word in UNREACHABLE):
        missing("no index of packages can be reached")
    assert done.returncode == 0, said


def _copy(file: Path, target: Path) -> None:
    if file.is_dir():
        shutil.copytree(file, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(file, target)


@pytest.fixture
def server(image: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The image's command, in an empty folder; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = variables(RUN, image) | {"S3FD_API_KEY": KEY, "HOME": str(tmp_path / "none")}
    process = subprocess.Popen(
        [*command(), "--port", str(port)], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    yield process, port
    process.kill()
    process.wait()


def command() -> list[str]:
    (entry,) = values(RUN, "ENTRYPOINT")
    return [str(word) for word in json.loads(entry)]


@pytest.mark.slow
def test_the_image_serves(
    image: Path, server: tuple[subprocess.Popen[str], int], example: Path, tmp_path: Path
) -> None:
    process, port = server
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                if client.get("/readyz").status_code == 200:
                    break
            except httpx.ConnectError:
                pass
            assert time.monotonic() < end
            time.sleep(0.1)
        (check,) = values(RUN, "HEALTHCHECK")
        words = json.loads(re.sub(r".* CMD ", "", check).replace(":8000", f":{port}"))
        environment = variables(RUN, image)
        assert subprocess.run(words, env=environment, timeout=60).returncode == 0
        data = example.read_bytes()
        assert client.post("/v1/detect", content=data).status_code == 401
        answer = client.post("/v1/detect", content=data, headers={"Authorization": f"Bearer {KEY}"})
        (face,) = answer.json()["pictures"][0]["faces"]
        assert face["box"] == pytest.approx([178.4, 63.4, 270.4, 175.6], abs=1)
        assert "s3fd" in client.get("/").text
        for file in (ROOT / "src/s3fd/serving/page").iterdir():
            assert client.get(f"/page/{file.name}").status_code == 200, file.name
    which = [
        shutil.which("python", path=environment["PATH"]) or "",
        "-c",
        "import s3fd; print(s3fd.__file__)",
    ]
    where = subprocess.run(which, env=environment, cwd=tmp_path, capture_output=True, text=True).stdout
    assert where.startswith(str(image))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_the_image_does_not_start_without_a_key(image: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        command(), cwd=tmp_path, env=variables(RUN, image), capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 2
    assert "API key" in answer.stderr


def test_the_image_runs_without_rights() -> None:
    (user,) = values(RUN, "USER")
    assert user not in ("root", "0")
    assert any("useradd --system" in line and f" {user} " in f"{line} " for line in values(RUN, "RUN"))
    names = [step.name for step in RUN]
    assert names.index("USER") < names.index("ENTRYPOINT")
