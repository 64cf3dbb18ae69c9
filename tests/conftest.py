from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["exported", "postgres_server"]

if "PYTEST_XDIST_WORKER" in os.environ:  # tests that run at the same time share the processors
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))

settings.register_profile("default", deadline=None)  # a busy machine is no failure
settings.load_profile("default")

SHARED = Path(os.environ.get("S3FD_SHARED", Path(__file__).parents[2] / "shared"))
CACHE = Path(os.environ.get("S3FD_TEST_CACHE", Path(tempfile.gettempdir()) / "s3fd-data"))


@pytest.fixture(scope="session")
def shared_pack() -> Callable[[str], Path]:
    """From the name of a data pack to the folder it is unpacked in, once for all runs.

    The packs are not part of the repository: without them the test is skipped, but fails in CI.
    """

    def unpacked(name: str) -> Path:
        script, pack = SHARED / "data" / "unpack.py", SHARED / "data" / f"{name}.zip"
        if not (CACHE / name / ".complete").exists():
            if not (script.is_file() and pack.is_file()):
                missing(f"data pack {name} is not in {SHARED / 'data'} (S3FD_SHARED says where to look)")
            _unpack(script, name)
        return CACHE / name

    return unpacked


@pytest.fixture(scope="session")
def wider_val(shared_pack: Callable[[str], Path]) -> Path:
    """Folder of 306 pictures of WIDER FACE's validation set with the official ground truth."""
    return shared_pack("wider_val_subset")


@pytest.fixture(scope="session")
def lfw_pairs() -> Path:
    """Pairs of LFW's pictures, of one person and of two."""
    return _shared_file("data/lfw_pairs.txt")


@pytest.fixture(scope="session")
def yunet() -> Path:
    """YuNet's weights, which the project measures itself against, and learns from."""
    return _shared_file("peers/yunet_n_640_640.onnx")


def _shared_file(name: str) -> Path:
    """A file that is not part of the repository, as `shared_pack`."""
    file = SHARED / name
    if not file.is_file():
        missing(f"{file} is not there (S3FD_SHARED says where to look)")
    return file


def missing(reason: str) -> None:
    """End the test: what it needs is not there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _unpack(script: Path, name: str) -> None:
    """Unpack beside the cache and move, so that a run at the same time never sees half a pack."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        subprocess.run([sys.executable, script, work, name], check=True, stdout=subprocess.DEVNULL)
        try:
            (Path(work) / name).rename(CACHE / name)
        except OSError:  # another run was first
            if not (CACHE / name / ".complete").exists():
                raise
