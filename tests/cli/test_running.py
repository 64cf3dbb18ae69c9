from __future__ import annotations

import math

import pytest
import typer
from square_finder import SquareFinder

from s3fd.cli.running import INTERRUPTED, SOME_FAILED, end, open_detector


def test_ctrl_c_while_a_package_is_imported_is_no_missing_package() -> None:
    def interrupted() -> int:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    with pytest.raises(typer.Exit) as ended:
        end(interrupted)
    assert ended.value.exit_code == INTERRUPTED


def test_a_package_that_cannot_be_imported_is_no_ctrl_c() -> None:
    def broken() -> int:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    with pytest.raises(ImportError, match="libgomp"):
        end(broken)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (MemoryError("no room"), "no room"),
        (OSError(28, "No space left on device", "a.csv"), "[Errno 28] No space left on device: 'a.csv'"),
    ],
)
def test_what_the_machine_lacks_is_one_line(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def short() -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        end(short)
    assert ended.value.exit_code == SOME_FAILED
    assert capsys.readouterr().err == f"s3fd: {message}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge", "min_score": 0.5}, "--size: invalid size 'huge'"),
        ({"size": "vga", "min_score": math.nan}, "min_score must be a number from 0 to 1, not nan"),
        (
            {"size": "vga", "min_score": 0.5, "attributes": ("age",)},
            "--attributes: these weights do not predict 'age'",
        ),
    ],
)
def test_a_detector_that_cannot_be_is_named_by_what_is_wrong(
    options: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        open_detector(SquareFinder(), **options)  # type: ignore[arg-type]
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err.startswith(f"s3fd: {message}")
