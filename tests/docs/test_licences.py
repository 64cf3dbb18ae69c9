"""The page of dependencies names every package under a licence that asks more than to be named."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from doc_blocks import ROOT

requirements = pytest.importorskip("packaging.requirements")

OWN_TOOLS = {"dev", "docs"}
"""Extras that users do not install."""

COPYLEFT = re.compile(r"\b(LGPL|GPL|AGPL|MPL|EPL)\b|Lesser General|Mozilla Public")


def installed(name: str, extras: frozenset[str], seen: dict[str, metadata.Distribution]) -> None:
    """Add a package to `seen`, and those that it brings; what is not installed here is left out."""
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    known = re.sub(r"[-_.]+", "-", name).lower()
    if known in seen and not extras:
        return
    seen[known] = package
    for text in package.requires or ():
        needed = requirements.Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            installed(needed.name, frozenset(needed.extras), seen)


def licence(package: metadata.Distribution) -> str:
    """What a package says of its own licence, in any of the places for it."""
    fields = ("License-Expression", "Classifier")
    said = [text for field in fields for text in package.metadata.get_all(field, []) if "Topic" not in text]
    first = (package.metadata.get("License") or "").partition("\n")[0]  # some have the whole text there
    return " ".join([*said, first])


def test_every_copyleft_licence_is_on_the_page() -> None:
    brought: dict[str, metadata.Distribution] = {}
    extras = metadata.metadata("s3fd").get_all("Provides-Extra", [])
    installed("s3fd", frozenset(extras) - OWN_TOOLS, brought)
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("## Licences")[2]
    named = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", page.lower()))
    found = {name for name, package in brought.items() if COPYLEFT.search(licence(package))}
    assert len(brought) > len(extras)
    assert found <= named


@pytest.mark.parametrize("script", ["tools/check_licences.sh", ".github/workflows/release.yml"])
def test_licences_and_vulnerabilities_are_checked_with_every_extra(script: str) -> None:
    if not (ROOT / script).is_file():
        pytest.skip("a source distribution has no workflows")
    lists = re.findall(r"'\.\[([a-z0-9,]+)\]'", (ROOT / script).read_text(encoding="utf-8"))
    extras = set(metadata.metadata("s3fd").get_all("Provides-Extra", [])) - OWN_TOOLS
    assert [set(found.split(",")) for found in lists] == [extras]
