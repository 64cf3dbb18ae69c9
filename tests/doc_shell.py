"""Runs the commands of documentation as a reader would type them.

`s3fd` runs in this process, which has its imports behind it; what else a line asks for goes to bash. What
cannot be is replaced by the nearest that can: a package that is to be installed has to be, with its extras, a
service listens on a free port, and a camera gives a few frames and then presses Ctrl-C.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
import pytest
from doc_blocks import ROOT
from packaging.requirements import Requirement
from typer.testing import CliRunner

from s3fd.cli import app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings

ADDRESS = "http://127.0.0.1:8000"
"""Where a service is, according to the pages."""

INTERRUPTED = 130
FRAMES_OF_CAMERA = 4

NEEDS_BASH = re.compile(r"[|<>;$`*?\[(]|(?<!&)&(?!&)")
"""What a line has, outside of quotes, that is more than commands with arguments; `$` also within double."""


class Shell:
    """One reader's terminal, in the present folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Prepare; a service is started when the first line needs one."""
        self._monkeypatch = monkeypatch
        self._service: subprocess.Popen[str] | None = None
        self._log: threading.Thread | None = None
        self.url = ADDRESS

    def run(self, text: str) -> str:
        """Run a block and return what it printed.

        Raises:
            AssertionError: a line that fails.
        """
        return "".join(self._line(line) for line in commands(text))

    def local(self, text: str) -> str:
        """Put the address of the service that runs in the place of the pages'."""
        if ADDRESS not in text:
            return text
        if self._service is None:
            self._serve([])
        return text.replace(ADDRESS, self.url)

    def close(self) -> None:
        """Stop the service, if one was started, and check that it ended well."""
        if self._service is not None:
            self._service.terminate()
            assert self._service.wait(timeout=60) in (0, -signal.SIGTERM), "the service did not end well"

    def _line(self, line: str) -> str:
        line = line.removeprefix("$ ")
        bare = re.sub(r"'[^']*'|\"[^\"$`]*\"", "''", line).partition(" #")[0]
        if not bare.strip() or bare.startswith("#"):
            return ""
        if NEEDS_BASH.search(bare):
            return self._bash(line)
        printed, command = "", []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                command.append(word)
                continue
            printed += self._command(command, shlex.join(command))
            command = []
        return printed

    def _command(self, words: list[str], line: str) -> str:
        program = Path(words[0]).name
        if program == "s3fd" and words[1:2] == ["serve"]:
            return self._serve(words[2:])
        if program == "s3fd":
            return self._s3fd(words[1:])
        if words[1:3] == ["-m", "venv"]:
            return ""
        if program == "pip":
            return _installed(words[1:])
        if program == "python":
            return self._bash(shlex.join([sys.executable, str(ROOT / words[1]), *words[2:]]))
        return self._bash(line)

    def _s3fd(self, words: list[str]) -> str:
        camera = "0" in words
        with self._monkeypatch.context() as patch:
            if camera:
                patch.setattr(cv2, "VideoCapture", _Camera)
            result = CliRunner().invoke(app, words, catch_exceptions=False)
        wanted = INTERRUPTED if camera else 0
        assert result.exit_code == wanted, f"s3fd {shlex.join(words)}: {result.exit_code}\n{result.output}"
        return result.stdout

    def _bash(self, line: str) -> str:
        line = line.replace("curl ", "curl -sS --fail-with-body ", 1)  # an HTTP error is a failure
        scripts = Path(sys.executable).parent
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.local(line)],
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _serve(self, options: list[str]) -> str:
        """Start the service and leave it running, until the page starts another or ends."""
        self.close()
        self._service = subprocess.Popen(
            [sys.executable, "-m", "s3fd", "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._service.stderr is not None
        line = self._service.stderr.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None, line + self._service.stderr.read()
        self.url = address[0].rstrip("/.,")
        self._log = threading.Thread(target=self._service.stderr.read, daemon=True)
        self._log.start()
        return ""


def commands(text: str) -> Iterator[str]:
    """Lines as a shell reads them: one that ends in a backslash or within quotes goes on."""
    waiting = ""
    for line in text.replace("\\\n", " ").splitlines():
        waiting += line
        try:
            shlex.split(waiting, comments=True)
        except ValueError:
            waiting += "\n"
        else:
            yield waiting
            waiting = ""
    assert not waiting, f"a quote is open: {waiting}"


def _installed(words: list[str]) -> str:
    """Check that what `pip install` is to bring is there: every package, and all that an extra asks for."""
    assert words[0] == "install", words
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words[1:]:
        if word.startswith(("-", ".")) or word == "constraints.txt":
            continue
        wanted = Requirement(word)
        assert wanted.name == project["name"], f"{word}: is that meant?"
        for extra in wanted.extras:
            for needed in map(Requirement, project["optional-dependencies"][extra]):
                assert needed.name == project["name"] or distribution(needed.name), needed
    return ""


class _Camera:
    """Stands for `cv2.VideoCapture`: gives the example a few times, then presses Ctrl-C."""

    def __init__(self, index: object) -> None:
        self._frame = np.asarray(cv2.imread(str(ROOT / "examples" / "astronaut.jpg")))
        self._given = 0

    def read(self) -> tuple[bool, np.ndarray]:
        time.sleep(0.02)
        self._given += 1
        if self._given == FRAMES_OF_CAMERA:
            signal.raise_signal(signal.SIGINT)
        return True, self._frame.copy()

    def get(self, _: int) -> float:
        return 25.0

    def release(self) -> None:
        pass
