"""The code blocks of Markdown pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]

PYTHON = ("python", "py")
SHELL = ("sh", "bash", "console")
DATA = ("json", "yaml")

NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
"""Stands on a line of its own before a block that the tests leave alone, and says why."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: path of its page from the repository's root.
        line: number of its first line, from 1.
        language: as it says.
        text: what is in it.
        reason: why it is not run; None where it is.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of one page that a reader is to type, and those of JSON and YAML."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    found = []
    for i, token in enumerate(tokens):
        language = token.info.strip()
        if token.type != "fence" or language not in (*PYTHON, *SHELL, *DATA):
            continue
        comments = takewhile(lambda before: before.type == "html_block", reversed(tokens[:i]))
        reason = NOT_RUN.search("".join(comment.content for comment in comments))
        assert token.map is not None
        name = page.relative_to(ROOT).as_posix()
        found.append(Block(name, token.map[0] + 2, language, token.content, reason[1] if reason else None))
    return found


def pages() -> list[Path]:
    """README and the pages of the documentation, without those that the site makes of other files."""
    made = [ROOT / "docs" / name for name in ("models", "changelog.md", "security.md")]
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(p for p in found if not any(p.is_relative_to(m) for m in made))]
