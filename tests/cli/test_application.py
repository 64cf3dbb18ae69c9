import os
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from s3fd.cli import COMMANDS, app


def shown(*command: str) -> str:
    """The help of a command, as on a terminal of 80 columns."""
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_list_has_help(command: str) -> None:
    assert COMMANDS[command][1] in " ".join(shown().replace("│", "").split())
    assert f"{command} [OPTIONS]" in shown(command)


@pytest.mark.parametrize("command", [(), ("detect",), ("gallery",), ("gallery", "add"), ("export", "onnx")])
def test_h_asks_for_help_at_every_level(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*command, "-h"], env={"COLUMNS": "80"})
    assert (done.exit_code, done.output) == (0, shown(*command))


def test_paragraphs_of_help_are_as_wide_as_the_terminal() -> None:
    """A line of the source does not end one on the screen, and brackets are no markup."""
    assert "last frame with it, their times in seconds" in shown("track")
    told = shown("detect")
    assert '"faces": [{"box": [x1, y1, x2,' in told and "'s3fd[archive]'" in told


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_is_shown_in_any_encoding(encoding: str) -> None:
    """It has characters, such as the dots of a JSON example, that some locales have no code for."""
    done = subprocess.run(
        [sys.executable, "-m", "s3fd", "detect", "--help"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b'{"path": \\u2026, "error": \\u2026}' in done.stdout


def test_a_command_does_not_collect_garbage_as_it_ends() -> None:
    """The first to be registered is the last to be called."""
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "from s3fd.cli import app; app(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.skipif(
    "suggest_commands" not in signature(TyperGroup.__init__).parameters, reason="this Typer names none"
)
def test_a_similar_command_is_named() -> None:
    done = CliRunner().invoke(app, ["anonymise", "photos"])
    assert done.exit_code == 2
    assert "Did you mean 'anonymize'?" in done.output


@pytest.mark.parametrize(
    "command",
    [
        "detect a.jpg --min-size {}",
        "detect a.jpg --min-score {}",
        "anonymize a.jpg --out out --margin {}",
        "gallery add people.db people --min-sharpness {}",
        "serve --max-megapixels {}",
    ],
)
@pytest.mark.parametrize("number", ["inf", "1e400", "nan"])
def test_numbers_that_are_not_finite_are_refused(command: str, number: str) -> None:
    done = CliRunner().invoke(app, command.format(number).split())
    assert done.exit_code == 2
    assert command.split()[-2] in done.output


@pytest.mark.parametrize("command", [("weights", "calibrate"), ("eval", "attribute"), ("classify",)])
def test_commands_that_detect_name_every_size(command: tuple[str, ...]) -> None:
    assert "auto|vga|original|N" in shown(*command)


@pytest.mark.skipif(os.name != "posix", reason="closes files as a POSIX shell does")
def test_commands_run_with_their_streams_closed(tmp_path: Path, tiny: Path) -> None:
    picture = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
    command = f"'{sys.executable}' -m s3fd detect '{picture}' --weights '{tiny}' --threads 1"
    table = tmp_path / "faces.csv"
    for line in (f"{command} 2>&- > {table}", f"{command} --csv {table} <&- >&- 2>&-", f"{command} >&-"):
        table.write_text("")
        subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, check=True)
        assert ("astronaut.jpg" in table.read_text()) == ("faces.csv" in line)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", [("--version",), ("--help",), ("track", "-h"), ("weights", "list")])
def test_a_full_disk_is_reported_in_one_line(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        line = [sys.executable, "-m", "s3fd", *command]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "s3fd: [Errno 28] No space left on device\n")
