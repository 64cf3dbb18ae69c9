"""What users write their programs against changes on purpose only."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_the_public_interface_is_the_written_one() -> None:
    pytest.importorskip("torch", reason="the network's modules need it")
    pytest.importorskip("prometheus_client")
    from api import describe

    written = Path(__file__).with_name("api.txt").read_text(encoding="utf-8").splitlines()
    found = list(describe())
    gone, new = sorted(set(written) - set(found)), sorted(set(found) - set(written))
    assert (gone, new) == ([], []), "meant? then: python tests/api.py > tests/api.txt, and tell the changelog"
