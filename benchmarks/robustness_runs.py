"""Whole runs that are killed, find the disk full, or run in odd surroundings; see robustness.py."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from robustness_files import EXAMPLE, Tally, mutate, seeds

from s3fd.inference.runtime import BUNDLED

ROOM = 100_000
"""Largest file on the full disk, in bytes, for `train` and `export`; their outputs are larger."""

COLOURS = Path(__file__).parents[1] / "tests"
"""Folder with the tests' small embedding model."""


def s3fd(*arguments: object) -> list[str]:
    """Return the command line of ``s3fd`` with these arguments."""
    return [sys.executable, "-m", "s3fd", *(str(a) for a in arguments)]


def run(
    command: Sequence[str], *, limit: int | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no file may grow over `limit` bytes, as on a full disk."""

    def full() -> None:
        assert limit is not None
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=full if limit is not None else None,
        env=None if env is None else {**os.environ, **env},
        timeout=600,
    )


def photographs(folder: Path, count: int) -> Path:
    """Make a folder with `count` links to the example."""
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:03d}.jpg").symlink_to(EXAMPLE)
    return folder


def training(folder: Path) -> Path:
    """Write a small training run, on the example with one face."""
    shutil.copy(EXAMPLE, folder / "a.jpg")
    (folder / "gt.txt").write_text("a.jpg\n1\n180 60 92 120 0 0 0 0 0 0\n")
    config = folder / "run.yaml"
    config.write_text(
        "data: [{format: wider, images: ., annotations: gt.txt}]\nsize: 128\nbatch: 2\nsteps: 30\n"
        "workers: 0\ncheckpoint_every: 3\npictures_every: 1000\n"
    )
    return config


def people(folder: Path) -> Sequence[object]:
    """Return the last arguments of `s3fd gallery add`: a person, and the tests' small embedding model."""
    sys.path.insert(0, str(COLOURS))
    import colour_model

    photographs(folder / "Ada", 12)
    return (folder / "Ada", "--name", "Ada", "--recogniser", colour_model.save(folder / "colours.onnx"))


def folder_of_damaged(runs: int, rng: np.random.Generator) -> Tally:
    """Run `s3fd detect` on a folder of damaged pictures: it must print a line for each and not crash."""
    tally = Tally(tried=runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = seeds()
        for i in range(runs):
            (folder / f"{i:05d}.png").write_bytes(mutate(kinds[i % len(kinds)][1], rng))
        done = run(s3fd("detect", folder))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        tally.refused = sum("error" in line for line in lines)
        tally.used = len(lines) - tally.refused
        for _ in range(runs - len(lines)):
            tally.bad("lost", "a picture without a line")
        if done.returncode not in (0, 1) or "Traceback" in done.stderr:
            tally.bad("crashed", done.stderr[-300:])
    return tally


def disk_full(runs: int, rng: np.random.Generator) -> Tally:
    """Run every command that writes on a full disk: it must say so in a line and keep existing files."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = photographs(folder / "few", 3)
        adding = s3fd("gallery", "add", folder / "people.db", *people(folder))
        many = photographs(folder / "many", 100)
        config = training(folder)
        table, model = folder / "faces.parquet", folder / "out.onnx"
        exporting = s3fd("export", "onnx", BUNDLED / "slim.safetensors", "--out", model)
        cases: list[tuple[str, list[str], Path | None, int]] = [
            ("detect --csv", s3fd("detect", many, "--csv", folder / "faces.csv"), None, 4096),
            ("detect --parquet", s3fd("detect", few, "--parquet", table), table, 512),
            ("detect --draw", s3fd("detect", few, "--draw", folder / "drawn"), None, 4096),
            ("anonymize", s3fd("anonymize", few, "--out", folder / "hidden"), None, 4096),
            ("gallery add", adding, None, 8192),
            ("train", s3fd("train", config, "--data", folder, "--out", folder / "run"), None, ROOM),
            ("export onnx", exporting, model, ROOM),
        ]
        for what, command, target, limit in cases[: max(1, runs)]:
            before = b"what was there before"
            if target is not None:
                target.write_bytes(before)
            done = run(command, limit=limit)
            tally.tried += 1
            said = any(word in done.stderr for word in ("too large", "No space", "disk"))
            if done.returncode <= 0 or "Traceback" in done.stderr or not said:
                tally.bad("crashed", f"{what}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
            elif target is not None and target.read_bytes() != before:
                tally.bad("lost", f"{what}: {target.name} is no longer what it was")
            else:
                tally.refused += 1
    return tally


def killed(runs: int, rng: np.random.Generator) -> Tally:
    """Kill detect, gallery add and train at a random moment (SIGKILL): what is there must be intact."""
    tally = Tally()
    checks: list[Callable[[Path, np.random.Generator], str | None]] = [
        _kill_detect,
        _kill_gallery,
        _kill_train,
    ]
    for number in range(runs):
        with tempfile.TemporaryDirectory() as name:
            problem = checks[number % len(checks)](Path(name), rng)
        tally.tried += 1
        if problem is None:
            tally.used += 1
        else:
            tally.bad("lost", problem)
    return tally


def kill(command: Sequence[str], out: Path, until: Callable[[], bool], wait: float) -> None:
    """Start a command, wait until `until` holds and `wait` seconds more, and kill it."""
    with out.open("wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not until():
            time.sleep(0.002)
        time.sleep(wait)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lines(file: Path) -> list[str]:
    """Return the complete lines of a file."""
    return [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _kill_detect(folder: Path, rng: np.random.Generator) -> str | None:
    """Check that the complete JSON Lines are in order, without gaps, and that there is no half table."""
    many = photographs(folder / "many", 200)
    out, table = folder / "out.jsonl", folder / "faces.parquet"
    wait = float(rng.uniform(0, 0.5))
    kill(s3fd("detect", many), out, lambda: out.exists() and out.stat().st_size > 0, wait)
    names = [json.loads(line)["path"] for line in _lines(out)]
    if names != [str(many / f"{i:03d}.jpg") for i in range(len(names))]:
        return "detect: lines are missing or out of order"
    kill(s3fd("detect", many, "--parquet", table), out, lambda: any(folder.glob(".faces*")), wait)
    return "detect: half a table has the name of a whole one" if table.exists() else None


def _kill_gallery(folder: Path, rng: np.random.Generator) -> str | None:
    """Check that every vector that was reported is in the gallery."""
    gallery, out = folder / "people.db", folder / "out.jsonl"
    adding = s3fd("gallery", "add", gallery, *people(folder))
    kill(adding, out, lambda: out.exists() and out.stat().st_size > 0, float(rng.uniform(0, 0.3)))
    reported = len(_lines(out))
    listed = run(s3fd("gallery", "list", gallery))
    if listed.returncode:
        return f"gallery: {listed.stderr.strip()}"
    held = sum(json.loads(line)["vectors"] for line in listed.stdout.splitlines())
    return None if held >= reported else f"gallery: {reported} reported, {held} there"


def _kill_train(folder: Path, rng: np.random.Generator) -> str | None:
    """Check that the run resumes from its checkpoint, and that its metrics have every step once."""
    command = s3fd("train", training(folder), "--data", folder, "--out", folder / "run", "--device", "cpu")
    metrics, after = folder / "run" / "metrics.jsonl", int(rng.integers(1, 25))
    kill(
        command,
        folder / "out.txt",
        lambda: metrics.exists() and len(_lines(metrics)) >= after,
        float(rng.uniform(0, 0.1)),
    )
    done = run(command)
    if done.returncode:
        return f"train: {done.stderr.strip()[-300:]}"
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    return None if steps == list(range(30)) else f"train: steps {steps}"


def surroundings(runs: int, rng: np.random.Generator) -> Tally:
    """Run without a home folder, without a network and with other clocks: the output must not change."""
    tally = Tally()
    usual = run(s3fd("detect", EXAMPLE)).stdout
    command = s3fd("detect", EXAMPLE)
    homeless = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null")
    cases: list[tuple[str, list[str], dict[str, str]]] = [("a home that is no folder", command, homeless)]
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0:
        cases.append(("no network", ["unshare", "-n", *command], {}))
    else:
        tally.told.append("no network: not tried, this user may not take it away")
    if shutil.which("faketime"):
        for start in ("2001-01-01 00:00:00", "2099-01-01 00:00:00"):
            cases.append((f"the clock at {start}", ["faketime", start, *command], {}))
    else:
        tally.told.append("clock: not tried, faketime is not installed")
    for what, command_line, env in cases[: max(1, runs)]:
        done = run(command_line, env=env)
        tally.tried += 1
        if done.returncode or done.stdout != usual:
            tally.bad("crashed", f"{what}: {done.stderr.strip()[-300:]}")
        else:
            tally.used += 1
    if shutil.which("faketime") and runs > len(cases):
        tally.tried += 1
        problem = _clock_goes_back()
        if problem is None:
            tally.used += 1
        else:
            tally.bad("lost", problem)
    return tally


def _clock_goes_back() -> str | None:
    """Stop a training run, and resume it with the clock set back by a day."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = training(folder)
        command = s3fd("train", config, "--data", folder, "--out", folder / "run", "--device", "cpu")
        out, metrics = folder / "out.txt", folder / "run" / "metrics.jsonl"
        kill(command, out, lambda: metrics.exists() and len(_lines(metrics)) >= 8, 0.0)
        done = run(["faketime", "-1 day", *command])
        steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    return None if not done.returncode and steps == list(range(30)) else f"train: {done.stderr[-300:]}"


GROUPS: dict[str, Callable[[int, np.random.Generator], Tally]] = {
    "folder": folder_of_damaged,
    "disk": disk_full,
    "kill": killed,
    "surroundings": surroundings,
}
"""Groups that run commands in processes of their own, by name."""
