"""The reference of the command line, from the commands themselves: the directive ``commands``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from s3fd.cli import COMMANDS


class Commands(SphinxDirective):
    """All commands with their arguments and options, a section each, in the words of ``--help``."""

    def run(self) -> list[nodes.Node]:
        """Describe the commands in Markdown, and parse that."""
        text = "\n".join(line for name in COMMANDS for line in describe(name))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def describe(name: str) -> Iterator[str]:
    """Lines of Markdown on a command and all below it."""
    command = typer.main.get_command(import_module(COMMANDS[name][0]).app)
    with command.make_context(f"s3fd {name}", [], resilient_parsing=True) as context:
        below = getattr(command, "commands", None)
        if below is None:
            yield from _one(command, context, "##")
            return
        yield from (f"## s3fd {name}", "", *_paragraphs(command.help))
        for part, subcommand in below.items():
            with subcommand.make_context(part, [], parent=context, resilient_parsing=True) as inner:
                yield from _one(subcommand, inner, "###")


def _one(command: Any, context: Any, heading: str) -> Iterator[str]:
    path = context.command_path
    usage = " ".join([path, *(piece.replace("{", "").replace("}", "") for piece in _usage(command, context))])
    yield from (f"{heading} {path}", "", "```text", usage, "```", "", *_paragraphs(command.help))
    yield from (f":::{{program}} {path}", ":::", "")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None or "--help" in parameter.opts:
            continue
        # An argument is known by its name alone; an option also says what it takes.
        term = record[0].strip() if record[0].startswith("-") else record[0].split()[0]
        term = re.sub(r"<(.*?)(?: range)?>", lambda kind: kind[1].upper(), term)
        yield from (f":::{{option}} {term}", *_paragraphs(record[1]), ":::", "")


def _usage(command: Any, context: Any) -> list[str]:
    pieces: list[str] = command.collect_usage_pieces(context)
    return pieces


def _paragraphs(text: str | None) -> Iterator[str]:
    """Help as Markdown: without Rich's escapes, and lines of JSON as code."""
    for paragraph in (text or "").replace("\\[", "[").split("\n\n"):
        if paragraph.startswith("{"):
            yield from ("```text", paragraph, "```", "")
        else:
            yield from (re.sub(r"(?<![`\w])[*<>](?!=)", r"\\\g<0>", paragraph), "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
