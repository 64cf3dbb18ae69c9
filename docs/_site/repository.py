"""What ties the site to the repository: pages made of other files, links between them, names in backticks."""

from __future__ import annotations

import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
CARDS = ROOT / "src" / "s3fd" / "weights"

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
"""Where a link of Markdown goes: file, and heading."""

CLI = "reference/cli"
"""The page of all commands."""

HISTORY = ("changelog",)
"""Pages that may name what is no longer there."""

logger = logging.getLogger(__name__)

NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")


def made_pages() -> dict[Path, Path]:
    """From pages that are made from other files of the repository to these files."""
    cards = {DOCS / "models" / card.name: card for card in sorted(CARDS.glob("*.md"))}
    return {**cards, DOCS / "changelog.md": ROOT / "CHANGELOG.md", DOCS / "security.md": ROOT / "SECURITY.md"}


def relink(text: str, origin: Path, page: Path) -> str:
    """Let links of `origin` lead to the same files from `page`, to the site's own pages where there are."""
    pages = {source: made for made, source in made_pages().items()}

    def replace(link: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", link[1]):
            return link[0]
        target = (origin.parent / link[1]).resolve()
        return Path(os.path.relpath(pages.get(target, target), page.parent)).as_posix() + (link[2] or "")

    return LINK.sub(replace, text)


def write_pages(app: Sphinx) -> None:
    """Make the pages whose text stands elsewhere in the repository."""
    for page, origin in made_pages().items():
        text = relink(origin.read_text(encoding="utf-8"), origin, page)
        page.parent.mkdir(exist_ok=True)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def adapt(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead links to where the site has what they mean, and show which examples are not run."""
    page = DOCS / f"{name}.md"
    if page not in made_pages():
        source[0] = relink(source[0], page, page)
    source[0] = NOT_RUN.sub(r"*Not run by the tests: \1.*", source[0])


class Names(SphinxPostTransform):
    """Names of this project in backticks lead to their reference: modules, and commands."""

    default_priority = 5

    def run(self, **options: object) -> None:
        """Wrap what is known, and set the dash between a parameter and what is said of it."""
        for dash in list(self.document.findall(lambda node: isinstance(node, nodes.Text) and node == " -- ")):
            dash.parent.replace(dash, nodes.Text(" – "))
        for literal in list(self.document.findall(nodes.literal)):
            text = literal.astext()
            if isinstance(literal.parent, (nodes.reference, nodes.title)):
                continue
            if re.fullmatch(r"s3fd(\.\w+)+", text):
                self._module(literal, text)
            elif re.fullmatch(r"s3fd [a-z]+( [a-z]+)?", text):
                self._command(literal, text)

    def _module(self, literal: nodes.literal, text: str) -> None:
        objects = self.env.domains.python_domain.objects
        if text in objects:
            found = objects[text]
            self._wrap(literal, found.docname, found.node_id)
        elif self.env.docname not in HISTORY and "__" not in text:
            logger.warning("%s is nothing that there is", text, location=literal, type="s3fd")

    def _command(self, literal: nodes.literal, text: str) -> None:
        sections = self.env.tocs[CLI].findall(nodes.reference)
        anchor = "#" + text.replace(" ", "-")
        if any(section["anchorname"] == anchor for section in sections):
            self._wrap(literal, CLI, anchor[1:])

    def _wrap(self, literal: nodes.literal, page: str, anchor: str) -> None:
        builder = self.app.builder
        link = make_refnode(builder, self.env.docname, page, anchor, literal.deepcopy())
        literal.replace_self(link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register events and transforms."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", adapt)
    app.add_post_transform(Names)
    return {"parallel_read_safe": True}
