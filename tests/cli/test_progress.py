from __future__ import annotations

import io
import sys

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


def test_a_terminal_is_only_sent_what_it_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    stream = io.TextIOWrapper(shown, "ascii", "backslashreplace")
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(True, "onnx on cpu") as progress:
        progress.advance(Record("a.jpg", Faces.empty(), 4, 4))
    stream.flush()
    assert b"1 picture, 0 faces (onnx on cpu)" in shown.getvalue()
    assert b"\\u" not in shown.getvalue()


def test_a_file_named_like_an_emoji_is_told_of_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(True, "onnx on cpu") as progress:
        progress.advance(Record("16:100:32.jpg", error="broken"))
    assert "s3fd: 16:100:32.jpg: broken" in capsys.readouterr().err


@pytest.mark.parametrize("shown", [True, False])
def test_a_file_name_is_no_command_of_a_terminal(shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(shown, "onnx on cpu") as progress:
        progress.advance(Record("a\n\x1b[2Jé\udce9.jpg", error="broken"))
    assert "s3fd: a\\n\\x1b[2Jé\\udce9.jpg: broken" in capsys.readouterr().err.splitlines()
