"""The reference of the Python packages, from their docstrings: the directive ``modules``."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import import_module

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import s3fd


class Modules(SphinxDirective):
    """The modules of one package, without those of packages below it, a section each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Describe the modules in Markdown, and parse that."""
        package = self.arguments[0]
        lines = ["```{eval-rst}", f".. py:module:: {package}", "```", ""]
        text = "\n".join([*lines, *(line for name in modules(package) for line in describe(name))])
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def modules(package: str) -> list[str]:
    """Names of a package that says anything, and of its modules."""
    home = import_module(package)
    found = [m.name for m in pkgutil.iter_modules(home.__path__, f"{package}.") if not m.ispkg]
    return [name for name in found if not name.endswith("__main__")]


def packages() -> list[str]:
    """Names of all packages of the project."""
    found = pkgutil.walk_packages(s3fd.__path__, "s3fd.")
    return ["s3fd", *(m.name for m in found if m.ispkg)]


def describe(module: str) -> Iterator[str]:
    """Lines of Markdown on a module; what `s3fd` itself offers is described there."""
    elsewhere = [name for name in s3fd.__all__ if s3fd._HOMES.get(name) == module]
    yield from (f"## {module}", "", "```{eval-rst}", f".. automodule:: {module}")
    if elsewhere:
        yield f"   :exclude-members: {', '.join(elsewhere)}"
    yield from ("```", "")


def qualify(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Write out where the names in a docstring come from, those in backticks and those of exceptions."""
    if what in ("data", "attribute"):
        lines.insert(0, "")  # Napoleon takes what stands before a colon in the first line for a type
    while name not in sys.modules:
        name = name.rpartition(".")[0]

    def full(match: re.Match[str]) -> str:
        value = getattr(sys.modules[name], match[2], None)
        home = getattr(value, "__module__", None) or ""
        known = home.startswith("s3fd.") and getattr(value, "__qualname__", None) == match[2]
        return f"{match[1]}~{home}.{match[2]}{match[3]}" if known else match[0]

    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^(    )([A-Z]\w+)(: )", full, re.sub(r"(?<!`)(`)(\w+)(`)(?!`)", full, line))


def setup(app: Sphinx) -> dict[str, bool]:
    """Import everything, since autodoc does so in a type checker's way, which FastAPI does not survive."""
    for package in packages():
        for module in modules(package):
            import_module(module)
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", qualify, priority=400)  # before Napoleon
    return {"parallel_read_safe": True}
