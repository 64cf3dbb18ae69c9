"""No file that is read can run code: nothing here unpickles, evaluates or builds objects from YAML tags."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

UNSAFE = {
    "eval",
    "exec",
    "all_gather_object",
    "broadcast_object_list",
    "marshal.load",
    "marshal.loads",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "read_pickle",
    "shelve.open",
    "yaml.full_load",
    "yaml.load",
    "yaml.unsafe_load",
}
"""Calls, by their last names, that can run what a file says."""

UNSAFE_MODULES = {"cloudpickle", "dill", "jsonpickle", "joblib"}


def unsafe(source: str) -> Iterator[str]:
    """Name what is unsafe in a program's text, with its line."""
    names: dict[str, str] = {}  # by what a module or function is called here
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(ast.parse(source)):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        yield from (f"{node.lineno}: {m}" for m in modules if m.partition(".")[0] in UNSAFE_MODULES)
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        called = names.get(first, first) + dot + rest
        options = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called == "torch.load" and options.get("weights_only") != "True":
            yield f"{node.lineno}: torch.load without weights_only=True"
        if called == "numpy.load" and options.get("allow_pickle", "False") != "False":
            yield f"{node.lineno}: numpy.load with allow_pickle"
        if any(called == name or called.endswith(f".{name}") for name in UNSAFE - {"eval", "exec"}):
            yield f"{node.lineno}: {called}"
        if called in ("eval", "exec"):  # a method of this name, such as a network's, is another thing
            yield f"{node.lineno}: {called}"


@pytest.mark.parametrize(
    "folder", ["src", "benchmarks", "tools"], ids=lambda folder: f"nothing in {folder} is unsafe"
)
def test_nothing_that_is_read_can_run_code(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = [f"{f.relative_to(ROOT)}:{told}" for f in files for told in unsafe(f.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path, weights_only=False)",
        "from torch import load\nload(path)",
        "import pickle\npickle.loads(data)",
        "from pickle import load as read\nread(file)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import joblib",
        "from joblib import load",
        "eval(text)",
        "import torch.distributed as dist\ndist.all_gather_object(a, b)",
    ],
)
def test_what_is_unsafe_is_noticed(source: str) -> None:
    assert list(unsafe(source))


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(path)",
        "import yaml\nyaml.safe_load(text)",
        "network.eval()",
        "import json\njson.loads(text)",
    ],
)
def test_what_is_safe_passes(source: str) -> None:
    assert list(unsafe(source)) == []
