"""A few hundred inputs that a fuzzer finds by coverage; benchmarks/fuzz.py goes on as long as is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
RUNS = 500


def fuzz(*arguments: str, script: Path = FUZZ) -> subprocess.CompletedProcess[str]:
    # libFuzzer's limit of memory counts what its parent had at most: a shell has little.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["wider", "voc", "yolo", "csv", "shards", "yaml", "weights", "form"])
def test_every_input_is_read_or_refused_with_the_file_s_name(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    done = fuzz(target, f"-runs={RUNS}", "-seed=1", f"-artifact_prefix={tmp_path}/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Done {RUNS} runs" in done.stderr


def test_what_is_not_refused_properly_ends_the_run(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    script = tmp_path / "fuzz.py"
    script.write_text(FUZZ.read_text().replace("except (ValueError, OSError)", "except KeyError"))
    (tmp_path / "robustness_files.py").write_text((FUZZ.parent / "robustness_files.py").read_text())
    done = fuzz("voc", f"-runs={RUNS}", "-seed=1", f"-artifact_prefix={tmp_path}/", script=script)
    assert done.returncode != 0
    assert "Uncaught Python exception" in done.stdout + done.stderr


def test_an_unknown_target_is_explained() -> None:
    pytest.importorskip("atheris")
    done = fuzz("nothing")
    assert done.returncode == 1 and "TARGET is wider, voc" in done.stderr
