"""Every code block of README and documentation does what it says, in a folder made for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import doc_workspace
import pytest
import yaml
from doc_blocks import DATA, PYTHON, ROOT, SHELL, Block, blocks, pages
from doc_shell import Shell

from s3fd.attributes import config as attribute_config
from s3fd.training.config import load_config

BLOCKS = [block for page in pages() for block in blocks(page)]

NOT_RUN = 19
"""Blocks that say why they are not run: accounts, clusters, containers, servers, GPUs, others' weights and
pictures, environments, minutes, the site, the tests."""


class Page:
    """The blocks of one page, which share a folder and Python's names, and run in their order."""

    def __init__(self, name: str, home: Path, shell: Shell) -> None:
        self.home = home
        self._shell = shell
        self._waiting = [block for block in BLOCKS if block.page == name]
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._printed = ""

    def run(self, block: Block) -> None:
        """Run a block, and before it those above it that have not been run."""
        while block in self._waiting:
            following = self._waiting.pop(0)
            if following is block or following.reason is None:
                self._run(following)

    def _run(self, block: Block) -> None:
        if block.language in SHELL:
            self._printed = self._shell.run(block.text)
        elif block.language in PYTHON:
            text = "\n" * (block.line - 1) + self._shell.local(block.text)
            exec(compile(text, str(ROOT / block.page), "exec"), self._names)
        elif block.language == "json":
            check_json(block, self._printed)
        else:
            check_yaml(block, self.home)


def check_json(block: Block, printed: str) -> None:
    """The record that a page shows is one that the commands above it print: of the same form, at least."""
    shown = json.loads(block.text)
    if not {"path", "pictures"} & set(shown):
        return  # a file's content
    records = list(objects(printed))
    assert any(form(shown) == form(record) for record in records), f"{form(shown)}\n{printed}"
    for record in records:
        if record.get("path") == shown.get("path") and str(record.get("path")).startswith("examples/"):
            assert close(shown, record), record


def objects(printed: str) -> Iterator[dict[str, Any]]:
    """Objects of JSON among what was printed, with a line's end after each or without."""
    start = printed.find("{")
    while start >= 0:
        value, end = json.JSONDecoder().raw_decode(printed, start)
        yield value
        start = printed.find("{", end)


def form(value: object) -> object:
    """The fields and kinds of a value of JSON; of a list, those of what it begins with."""
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value[:1]]
    return float if isinstance(value, (int, float)) else type(value)


def close(shown: object, printed: object) -> bool:
    """Whether two values of one form are alike, numbers to what processors differ in."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        return all(close(value, printed[key]) for key, value in shown.items())
    if isinstance(shown, list) and isinstance(printed, list):
        return len(shown) == len(printed) and all(map(close, shown, printed))
    return shown == (pytest.approx(printed, abs=0.05) if isinstance(printed, float) else printed)


def check_yaml(block: Block, home: Path) -> None:
    """A configuration that a page shows is one that `s3fd train` takes."""
    if "steps" in yaml.safe_load(block.text):
        path = home / "shown.yaml"
        path.write_text(block.text, encoding="utf-8")
        load_config(path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("docs") / "home"
    home.mkdir()
    doc_workspace.build(home)
    return home


@pytest.fixture(scope="module")
def open_page(template: Path) -> Iterator[Callable[[str], Page]]:
    opened: dict[str, Page] = {}
    patch = pytest.MonkeyPatch()
    shells = []

    def open_(name: str) -> Page:
        if name not in opened:
            home = template.parent / name.replace("/", "_")
            shutil.copytree(template, home)
            shells.append(Shell(patch))
            opened[name] = Page(name, home, shells[-1])
        return opened[name]

    patch.setattr(attribute_config, "PRESETS", template / "presets")
    yield open_
    patch.undo()
    for shell in shells:
        shell.close()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_block(block: Block, open_page: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch) -> None:
    if block.reason is not None:
        pytest.skip(f"not run: {block.reason}")
    page = open_page(block.page)
    monkeypatch.chdir(page.home)
    page.run(block)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    left_out = [block for block in BLOCKS if block.reason is not None]
    assert len(left_out) == NOT_RUN, [f"{b.page}:{b.line}: {b.reason}" for b in left_out]
    runnable = [b for b in BLOCKS if b.reason is None and b.language not in DATA]
    assert len(runnable) > 3 * NOT_RUN
