"""The documentation site is built without a warning, its links lead somewhere, and it needs no other host."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
from conftest import missing
from doc_blocks import ROOT

from s3fd.cli import COMMANDS

pytest.importorskip("sphinx")

LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
"""What a browser fetches by itself, and the attribute that says from where."""


@dataclass
class HtmlPage(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    text: str
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if LOADED.get(tag) in values:
            self.loads.append(values[LOADED[tag]])


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def foreign(url: str) -> bool:
    """Whether a browser would ask somebody else for this."""
    return not url.startswith(("file:", "data:"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by README's command into another folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = readme.partition("<!-- documentation command -->")[2].split("```")[1].splitlines()
    program, *options = shlex.split(lines[-1])
    assert Path(program).name == "sphinx-build" and "-W" in options and options[-2] == "docs"
    out = tmp_path_factory.mktemp("site") / "html"
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", *options[:-1], str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def html_pages(site: Path) -> dict[Path, HtmlPage]:
    return {path: HtmlPage(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_link_leads_somewhere(html_pages: dict[Path, HtmlPage]) -> None:
    broken = []
    for path, page in html_pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if target.suffix != ".html" and target.is_file():
                continue
            known = html_pages[target].anchors if target in html_pages else None
            if known is None or (anchor and anchor not in known):
                broken.append(f"{path.name}: {link}")
    assert not broken
    assert sum(len(page.links) for page in html_pages.values()) > 1000


def test_nothing_is_loaded_from_another_host(site: Path, html_pages: dict[Path, HtmlPage]) -> None:
    for path, page in html_pages.items():
        for address in page.loads:
            parts = urlsplit(address)
            assert not parts.netloc and parts.scheme in ("", "data"), f"{path.name}: {address}"
            assert (path.parent / unquote(parts.path)).is_file() or not parts.path or parts.scheme, address
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"""(@import|url\()\s*["']?(https?:)?//""", text), sheet.name


def test_every_package_command_and_card_has_its_place(html_pages: dict[Path, HtmlPage], site: Path) -> None:
    modules = [
        path.relative_to(ROOT / "src").with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "src" / "s3fd").rglob("*.py")
        if path.stem not in ("__init__", "__main__") and "cli" not in path.parts
    ]
    documented = set().union(*(page.anchors for page in html_pages.values()))
    assert {f"module-{name}" for name in modules} <= documented
    described = html_pages[site / "reference" / "cli.html"].anchors
    for name, (home, _) in COMMANDS.items():
        command = typer.main.get_command(import_module(home).app)
        for below in getattr(command, "commands", {"": command}):
            assert f"s3fd-{name}-{below}".rstrip("-") in described
    assert "cmdoption-s3fd-detect-min-score" in described
    for card in (ROOT / "src" / "s3fd" / "weights").glob("*.md"):
        assert site / "models" / f"{card.stem}.html" in html_pages


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_in_a_browser(site: Path, theme: str) -> None:
    """On a phone nothing moves sideways, and no script complains or asks for anything from elsewhere."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        missing("Chromium is not installed (on Debian: apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=theme)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url) if foreign(request.url) else None)
        for name in ("index", "network", "recipes", "reference/cli", "models/slim"):
            page.goto((site / f"{name}.html").as_uri())
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 400, f"{name} is {wide} pixels wide"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (theme == "dark")
        assert not complaints
        browser.close()
