from pathlib import Path

import pytest
from typer.testing import CliRunner

from s3fd.cli import app


@pytest.mark.parametrize("device", ["gpu", "cuda:first", "cuda:99", "meta", "xpu:99"])
def test_an_unknown_device_is_an_error(tmp_path: Path, device: str) -> None:
    done = CliRunner().invoke(app, ["train", str(tmp_path / "run.yaml"), "--device", device])
    assert done.exit_code == 2 and f"--device {device}" in done.stderr
