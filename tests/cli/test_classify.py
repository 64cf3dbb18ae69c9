"""The command as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import clips
import numpy as np
import pytest
from PIL import Image
from reader import leave_after_a_line

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "s3fd", "classify", "--threads", "1", *(str(a) for a in arguments)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(EXAMPLE, tmp_path / name)
    (tmp_path / "é.jpg").write_bytes(b"torn")
    strict = os.environ | {"PYTHONIOENCODING": "utf-8"}
    answer = subprocess.run(
        command(tmp_path), capture_output=True, text=True, encoding="utf-8", env=strict, timeout=120
    )
    told, failed = (json.loads(line) for line in answer.stdout.splitlines())
    assert Path(told["path"]).name == name
    assert set(told) == {"path", "gender", "probability", "faces"}
    assert Path(failed["path"]).name == "é.jpg" and failed["error"]
    assert answer.returncode == 1
    assert answer.stderr == f"s3fd: {tmp_path / 'é.jpg'}: {failed['error']}\n"


def test_an_odd_but_readable_file_is_no_reason_for_a_warning(tmp_path: Path) -> None:
    shown = Image.open(EXAMPLE).convert("P")
    shown.save(tmp_path / "a.png", transparency=bytes([128]) * 256)
    broken = b"Exif\0\0MM\0*\0\0\0\x08\0\x05"  # five entries, of which none follows
    shown.convert("RGB").save(tmp_path / "b.jpg", exif=broken)
    answer = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(answer.stdout.splitlines()) == 2


def test_frames_of_a_video_are_told_apart(tmp_path: Path) -> None:
    clips.save(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 2)
    answer = subprocess.run(command(tmp_path / "a.mp4"), capture_output=True, text=True, timeout=120)
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(line["frame"], line["time"], line["faces"]) for line in told] == [(0, 0.0, 0), (1, 0.04, 0)]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_reader_that_leaves_is_no_error() -> None:
    assert leave_after_a_line(command(*[EXAMPLE] * 500)) == (141, "")


def test_opencv_starts_no_threads_where_several_pictures_are_at_work() -> None:
    program = (
        "import atexit, sys, cv2; cv2.setNumThreads(3); from s3fd.cli import app; "
        "atexit.register(lambda: print(cv2.getNumThreads(), file=sys.stderr)); app()"
    )
    arguments = [sys.executable, "-c", program, "classify", str(EXAMPLE), str(EXAMPLE)]
    answer = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stderr) == (0, "1\n")
