from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from s3fd.evaluation.attributes import Reliability, Summary

attribute_plot = pytest.importorskip("s3fd.evaluation.attribute_plot", exc_type=ImportError)

NONE = Summary(0, math.nan, math.nan, (math.nan, math.nan), math.nan, math.nan)

GROUPS = {"9–17": Summary(1234, 0.9, 0.88, (0.85, 0.94), 0.02, 0.0), "$5 and $6": NONE, "": NONE}

FILLED = Reliability(np.array([math.nan, 0.8]), np.array([math.nan, 0.7]), np.array([0, 50]))

EMPTY = Reliability(np.full(15, math.nan), np.full(15, math.nan), np.zeros(15, np.int64))


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_draws_in_every_format(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"attributes{suffix}"
    attribute_plot.plot({"size": GROUPS}, FILLED, path)
    assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize("sections", [{}, {"age": {}}, {"age": {"9": NONE}}, dict.fromkeys("abc", GROUPS)])
@pytest.mark.parametrize("bins", [EMPTY, FILLED])
def test_draws_any_number_of_sections(
    tmp_path: Path, sections: dict[str, dict[str, Summary]], bins: Reliability
) -> None:
    attribute_plot.plot(sections, bins, tmp_path / "attributes.svg")
    text = (tmp_path / "attributes.svg").read_text()
    assert all(f"<!-- {title} -->" in text for title in sections)
    assert "<!-- reliability" in text


def test_a_group_shows_its_name_and_count(tmp_path: Path) -> None:
    attribute_plot.plot({"size": GROUPS}, FILLED, tmp_path / "attributes.svg")
    text = (tmp_path / "attributes.svg").read_text()
    for shown in ("9–17 (1,234)", "– (0)", "calibration error 10.0 %"):
        assert shown in text
