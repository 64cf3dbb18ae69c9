"""``s3fd detect --output`` as a user runs it: killed and begun again, and against an S3."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

dataset = pytest.importorskip("pyarrow.dataset")
pytest.importorskip("fsspec")

PICTURES = 40


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 0 to 3 squares, and in the middle a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(PICTURES):
        pixels = np.zeros((480, 640, 3), np.uint8)
        for square in range(i % 4):
            pixels[:16, 32 * square : 32 * square + 16] = 255
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    (folder / "20.png").write_bytes(b"no picture")
    return folder


def command(tiny: Path, *arguments: object) -> list[str]:
    options = ["--weights", str(tiny), "--threads", "1", "--min-score", "0.9", "--partition", "4"]
    return [sys.executable, "-m", "s3fd", "detect", *options, *map(str, arguments)]


def run(tiny: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    line = command(tiny, *arguments)
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", env=env, timeout=300)


def check(table: Any) -> None:
    """Every picture has its one row, in order, with its faces or why it has none."""
    rows = table.to_pylist()
    assert [Path(row["path"]).stem for row in rows] == [f"{i:02d}" for i in range(PICTURES)]
    for i, row in enumerate(rows):
        if i == 20:
            assert (row["faces"], row["error"]) == (None, "not a picture of a known format")
        else:
            assert (len(row["faces"]), row["error"]) == (i % 4, None)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_and_begun_again(tiny: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(command(tiny, photos, "--output", out)) as process:
        while not list(out.glob("part-*.parquet")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    complete = list((out / "_manifest").glob("*.done.json"))
    assert len(complete) < PICTURES / 4, "killed too late to prove anything"
    made = {path: path.stat().st_mtime_ns for path in complete}
    answer = run(tiny, photos, "--output", out)
    assert answer.returncode == 1
    assert json.loads(answer.stdout) == {
        "archive": str(out),
        "partitions": 10,
        "pictures": PICTURES,
        "faces": 60,
        "unreadable": 1,
    }
    assert answer.stderr == "s3fd: 1 unreadable; see the `error` column for the reasons\n"
    assert {path: path.stat().st_mtime_ns for path in complete} == made
    check(dataset.dataset(out).to_table())  # _manifest is no part of it
    files = {path.name for path in out.iterdir()}
    assert files == {"_manifest", *(f"part-{i:06d}.parquet" for i in range(10))}
    done = out / "_manifest" / "part-000000.done.json"
    done.write_text("{")
    damaged = run(tiny, photos, "--output", out)
    assert (damaged.returncode, damaged.stdout) == (2, "")
    assert f"{done} is damaged: delete it to make its partition again" in damaged.stderr
    assert "Traceback" not in damaged.stderr


@pytest.fixture
def terminal() -> Iterator[None]:
    """Ctrl-C interrupts, which a background job's processes ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_ctrl_c_does_not_wait_for_rays_partitions(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from typer.testing import CliRunner

    from s3fd.archive import on_ray
    from s3fd.cli import app

    waited = []

    def wait(*given: object) -> Iterator[None]:
        signal.raise_signal(signal.SIGINT)
        waited.append("until the partition is made")
        yield None

    monkeypatch.setattr(on_ray, "make_on_ray", wait)
    line = command(tiny, photos, "--output", tmp_path / "out", "--engine", "ray")
    answer = CliRunner().invoke(app, line[3:])
    assert (answer.exit_code, waited) == (130, [])
    assert answer.stderr == "s3fd: interrupted; run the same command again to resume\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 of this machine, with a bucket ``photos`` and one ``found``."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=url, **keys)
    for bucket in ("photos", "found"):
        client.create_bucket(Bucket=bucket)
    yield url
    running.stop()


def test_from_s3_to_s3(
    tiny: Path, photos: Path, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    keys = {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3")
    for path in sorted(photos.iterdir()):
        system.pipe_file(f"photos/2026/{path.name}", path.read_bytes())
    answer = run(tiny, "--input", "s3://photos/2026", "--output", "s3://found/faces")
    assert (answer.returncode, json.loads(answer.stdout)["pictures"]) == (1, PICTURES), answer.stderr
    system.get("found/faces", str(tmp_path / "faces"), recursive=True)
    table = dataset.dataset(tmp_path / "faces").to_table()
    assert table["path"][0].as_py() == "s3://photos/2026/00.png"
    check(table)
    again = run(tiny, "--input", "s3://photos/2026", "--output", "s3://found/faces")
    assert again.stdout == answer.stdout
    missing = run(tiny, "s3://photos/2027", "--output", "s3://found/other")
    assert (missing.returncode, missing.stderr) == (2, "s3fd: s3://photos/2027: no such file or folder\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--output", "out"], "detect needs a PATH"),
        (["in", "--output", "out", "--csv", "-"], "--output cannot be combined with --csv"),
        (["in", "--engine", "ray"], "ray needs --output"),
        (["missing", "--output", "out"], "missing: no such file or folder"),
        (["0", "--output", "out"], "archives are for pictures only"),
        (["in", "--output", "nonsense://out"], "nonsense"),
    ],
)
def test_wrong_calls(
    tiny: Path, arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from s3fd.cli import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    answer = CliRunner().invoke(app, ["detect", "--weights", str(tiny), *arguments])
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1), answer.output
    assert answer.stderr.startswith("s3fd: ") and reason in answer.stderr
    assert not (tmp_path / "out").exists()
