"""A reader of a command's output that leaves after a line, as `head -1` does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence


def leave_after_a_line(command: Sequence[object]) -> tuple[int, str]:
    """Run a command, read a line of JSON, close the pipe; return the exit code and standard error."""
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    json.loads(process.stdout.readline())
    process.stdout.close()
    code = process.wait(timeout=60)
    with process.stderr as errors:
        return code, errors.read()
