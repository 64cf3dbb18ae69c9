"""Fuzz the readers of untrusted files and requests, guided by coverage, with Atheris (pip install atheris).

Run: python benchmarks/fuzz.py TARGET [-runs=N] [-max_total_time=SECONDS] [CORPUS …]

TARGET is wider, voc, yolo, csv, shards, yaml, weights or form; the other arguments are libFuzzer's. Every
input must be read or refused, and the message about a file must name it. Anything else ends the run with the
input that caused it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["s3fd.data", "s3fd.serving.bodies", "python_multipart"]):
    from python_multipart import multipart  # noqa: F401

    from s3fd.data import labels, shards, voc, wider, yolo
    from s3fd.serving import bodies

from PIL import Image
from robustness_files import CSV, VOC, WIDER, YAML, YOLO
from starlette.requests import Request

from s3fd.serving.intake import Intake
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits

TARGETS = ("wider", "voc", "yolo", "csv", "shards", "yaml", "weights", "form")

FORM = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nx\r\n--b--\r\n'
LIMITS = Limits(body=5000, held=5000, files=3)


def annotations(folder: Path, name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Return a target that writes its data to a file and has it read."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)

    def once(data: bytes) -> None:
        file.write_bytes(data)
        try:
            read(file)
        except (ValueError, OSError) as error:
            if name not in str(error):
                raise AssertionError(f"the message does not name {name}") from error

    return once


def form(data: bytes) -> None:
    """Read a request with a fuzzed body and, if the data has two parts, a fuzzed content type."""
    head, _, body = data.partition(b"\0")
    kind = b"multipart/form-data; boundary=b" if not body else head
    pieces = [body or data]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": pieces.pop() if pieces else b"", "more_body": bool(pieces)}

    async def run() -> None:
        headers = [(b"content-type", kind)]
        request = Request({"type": "http", "method": "POST", "headers": headers, "state": {}}, receive)
        with Intake(LIMITS).admit("somebody") as hold, contextlib.suppress(Problem):
            await bodies.read(request, LIMITS, hold)

    asyncio.run(run())


def weights(folder: Path) -> tuple[Callable[[bytes], None], bytes]:
    """Return a target for the importer of public weights, and a seed input."""
    import torch

    from s3fd.weights.public import import_public

    seed = folder / "seed.pth"
    torch.save({"conv1_1.weight": torch.zeros(2)}, seed)
    return annotations(folder, "weights.pth", import_public), seed.read_bytes()


def shard(folder: Path) -> tuple[Callable[[bytes], None], bytes]:
    """Return a target for the reader of tar shards, and a seed input."""
    (folder / "gt.txt").write_text("0.png\n1\n9 9 30 30 0 0 0 0 0 0\n")
    (whole,) = shards.write(wider.read(folder / "gt.txt", folder).samples, folder / "whole", 1)
    return annotations(folder, "shard.tar", shards.read), whole.read_bytes()


def targets(name: str, folder: Path) -> tuple[Callable[[bytes], None], bytes]:
    """Return the target called `name`, and an intact seed input."""
    if name == "weights":
        return weights(folder)
    if name == "shards":
        return shard(folder)
    if name == "yaml":
        with atheris.instrument_imports(include=["s3fd.training.config", "yaml"]):
            from s3fd.training.config import load_config

        return annotations(folder, "run.yaml", load_config), YAML
    readers: dict[str, tuple[Callable[[bytes], None], bytes]] = {
        "wider": (annotations(folder, "gt.txt", lambda file: wider.read(file, folder)), WIDER),
        "voc": (annotations(folder, "voc/0.xml", lambda file: voc.read(file.parent, folder)), VOC),
        "yolo": (annotations(folder, "yolo/0.txt", lambda file: yolo.read(file.parent, folder)), YOLO),
        "csv": (annotations(folder, "l.csv", lambda file: labels.read(file, folder, ["mask"])), CSV),
        "form": (form, FORM),
    }
    return readers[name]


def main() -> None:
    """Fuzz the target that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("RGB", (96, 72)).save(folder / "0.png")
        target, seed = targets(sys.argv[1], folder)
        corpus = folder / "corpus"
        corpus.mkdir()
        (corpus / "seed").write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
