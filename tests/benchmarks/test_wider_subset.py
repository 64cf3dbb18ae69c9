"""Where benchmarks look for pictures and for other detectors."""

from pathlib import Path

import pytest
from scripts import load_script


def test_the_folder_of_data_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3FD_SHARED", str(tmp_path))
    script = load_script(Path(__file__).parents[2] / "benchmarks" / "wider_subset.py")
    monkeypatch.setattr("sys.argv", ["wider_subset.py"])
    assert script.arguments().peers == tmp_path / "peers"
