from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from s3fd.cli import training_bar
from s3fd.cli.training_bar import TrainingBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_has_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(training_bar, "time", SimpleNamespace(monotonic=lambda: now))
    with TrainingBar("training") as bar:
        for step in range(1, 101):
            now += 4
            bar.show(step, 100, f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "training: 1 of 100, loss 1",
        "training: 9 of 100, loss 9, 0:06:04 left",
        "training: 17 of 100, loss 17, 0:05:32 left",
    ]
    assert lines[-1] == "training: 100 of 100, loss 100" and len(lines) == 14


def test_a_continued_run_is_timed_from_where_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(training_bar, "time", SimpleNamespace(monotonic=lambda: now))
    with TrainingBar("training") as bar:
        assert list(bar.around("ab", 2, "reading")) == ["a", "b"]
        for step in (901, 902):
            now += 50
            bar.show(step, 1000, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "reading: 1 of 2",
        "reading: 2 of 2",
        "training: 901 of 1000",
        "training: 902 of 1000, 1:21:40 left",
    ]


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with TrainingBar("training") as bar:
        assert list(bar.around("ab", 2, "reading")) == ["a", "b"]
        for step in range(7, 11):
            bar.show(step, 10, "loss 0.5")
    shown = screen.getvalue()
    assert "10/10" in shown and "loss 0.5" in shown and "━" in shown
    assert "10 of 10" not in shown
