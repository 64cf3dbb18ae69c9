"""Write a table or a picture that a benchmark made into the documentation, in place of the previous one."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def put(document: str, name: str, text: str) -> None:
    """Replace the block under the comment ``<!-- name -->``, up to the next empty line, with `text`.

    Args:
        document: path in the project, such as ``docs/engines.md``.
        name: the comment's text, which begins with the benchmark's path.
        text: the new block, without empty lines.

    Raises:
        ValueError: the document has no such comment, or more than one.
    """
    path = ROOT / document
    lines = path.read_text(encoding="utf-8").split("\n")
    comment = f"<!-- {name} -->"
    if lines.count(comment) != 1:
        raise ValueError(f"{document} has {lines.count(comment)} lines {comment}, not one")
    start = lines.index(comment) + 1
    end = start + [*lines[start:], ""].index("")
    lines[start:end] = text.split("\n")
    path.write_text("\n".join(lines), encoding="utf-8")
