from __future__ import annotations

import pytest

from s3fd.cli.progress import Progress
from s3fd.faces import Faces
from s3fd.inference.records import Record


@pytest.mark.parametrize("shown", [True, False])
def test_the_last_line_counts_and_says_what_the_network_ran_in(
    shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(shown, "onnx on cpu") as progress:
        progress.advance(Record("a.jpg", Faces.empty(), 4, 4))
        progress.advance(Record("b.jpg", error="broken"))
    lines = capsys.readouterr().err.splitlines()
    assert "s3fd: b.jpg: broken" in lines
    assert ("2 pictures, 0 faces, 1 failed (onnx on cpu)" in lines) == shown
