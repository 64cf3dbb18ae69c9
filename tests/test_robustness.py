"""A few hundred damaged files of each kind; benchmarks/robustness.py tries thousands, and kills runs too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def files() -> ModuleType:
    return load_script(BENCHMARKS / "robustness_files.py")


@pytest.mark.parametrize(
    ("group", "runs"),
    [
        ("pictures", 690),
        ("annotations", 800),
        ("shards", 200),
        ("configurations", 300),
        ("weights", 60),
        ("folder", 46),
    ],
)
def test_damaged_files_are_refused_and_nothing_is_lost(group: str, runs: int) -> None:
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / "robustness.py"), group, "--here"]
    done = subprocess.run([*command, "--runs", str(runs), "--seed", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tally = json.loads(done.stdout)
    assert (tally["crashed"], tally["lost"]) == (0, 0), tally["told"]
    assert tally["tried"] >= runs
    assert tally["refused"] > runs / 4  # the damage is real
    assert tally["used"] + tally["refused"] == tally["tried"]


def test_what_goes_wrong_is_counted(files: ModuleType) -> None:
    tally = files.Tally()

    def fail(error: Exception) -> None:
        raise error

    files._try(tally, "a", lambda: None, (ValueError,))
    files._try(tally, "b", lambda: fail(ValueError("b: no")), (ValueError,), "b")
    files._try(tally, "c", lambda: fail(ValueError("no")), (ValueError,), "c")
    files._try(tally, "d", lambda: fail(KeyError("d")), (ValueError,), "d")
    assert (tally.tried, tally.used, tally.refused, tally.crashed) == (4, 1, 1, 2)
    assert tally.told == ["crashed: c: ValueError does not say c: no", "crashed: d: KeyError: 'd'"]


def test_what_kills_the_process_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import robustness

    script = tmp_path / "dies.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(robustness, "__file__", str(script))
    found = robustness.apart("pictures", 3, 0)
    assert (found["tried"], found["crashed"]) == (3, 1)
