from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3fd.weights.atomic import write_atomically


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_replaced(tmp_path: Path, sync: bool) -> None:
    for data in (b"one", b"two"):
        write_atomically(tmp_path / "a.bin", data, sync=sync)
        assert (tmp_path / "a.bin").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("machines", [False, True])
def test_threads_and_machines_may_write_the_same_file(
    tmp_path: Path, machines: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machines:  # containers have processes and threads of the same numbers
        monkeypatch.setattr("threading.get_native_id", lambda: 1)
        monkeypatch.setattr("os.getpid", lambda: 1)
    path = tmp_path / "a.bin"
    contents = [bytes([i]) * 100_000 for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write_atomically(path, contents[i % 4], sync=False), range(400)))
    assert path.read_bytes() in contents
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "a.bin", tmp_path / "folder"):
        with pytest.raises(OSError) as error:
            write_atomically(path, b"")
        assert error.value.errno in (errno.ENOENT, errno.EISDIR)
        assert str(error.value).endswith(f": {str(path)!r}") and "partial" not in str(error.value)


def test_ctrl_c_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupted(file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"old"


def test_on_a_full_disk_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = (
        "import sys; from pathlib import Path; from s3fd.weights.atomic import write_atomically;"
        "write_atomically(Path(sys.argv[1]), bytes(100_000))"
    )

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    done = subprocess.run([sys.executable, "-c", code, path], preexec_fn=full, capture_output=True, text=True)
    assert done.returncode == 1 and "OSError" in done.stderr and str(path) in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"old"
