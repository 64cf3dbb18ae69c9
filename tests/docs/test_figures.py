"""The drawings of the documentation are what the network and the tables say."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from doc_blocks import ROOT
from scripts import load_script

IMAGES = ROOT / "docs" / "images"


def tool(name: str) -> ModuleType:
    return load_script(ROOT / "tools" / f"{name}.py")


@pytest.mark.parametrize("backbone", ["vgg16", "slim"])
def test_the_network_is_drawn_as_it_is(backbone: str) -> None:
    drawn = tool("draw_network").draw(backbone)
    shown = (IMAGES / f"network_{backbone}.svg").read_text(encoding="utf-8")
    assert shown == drawn, "run python tools/draw_network.py"
    assert "stride 128, anchor 512" in drawn and "34,125 anchors in all" in drawn


@pytest.mark.parametrize("name", ["accuracy_over_time.svg", "gender_by_group.svg"])
def test_plots_show_what_the_tables_say(name: str) -> None:
    shown = (IMAGES / name).read_text(encoding="utf-8")
    assert shown == tool("draw_figures").figures()[name], "run python tools/draw_figures.py"


def test_dots_lie_between_the_axes() -> None:
    """Also those of detectors that take less than 10 ms, at whatever speed a machine runs."""
    drawn = tool("draw_figures")
    for slower in (0.2, 1, 10):
        rows = [[name, "", "", "0.5", str(ms * slower), ""] for name, ms in (("a", 8.6), ("b", 70.0))]
        plot = drawn.accuracy_over_time(rows)
        grid = [float(x) for x in re.findall(r'd="M([\d.-]+) [\d.]+ V', plot)]
        dots = [float(x) for x in re.findall(r'cx="([\d.-]+)"', plot)]
        assert len(dots) == 2 and grid[0] == 60 and all(60 <= x <= 700 for x in (*grid, *dots))


def test_no_dot_covers_a_name() -> None:
    rows = [["scrfd_500m", "", "", "0.714", "8.6"], ["yunet_n", "", "", "0.740", "10.3"]]
    plot = tool("draw_figures").accuracy_over_time(rows)
    assert re.search(r'class=" end">scrfd_500m<', plot) and re.search(r'class="">yunet_n<', plot)


def test_the_card_says_of_ethnicities_what_its_table_says() -> None:
    card = (ROOT / "src" / "s3fd" / "weights" / "slim.md").read_text(encoding="utf-8")
    rows = tool("draw_figures").table(card, "By ethnicity")
    accuracy = {name: float(cell.split(" %")[0]) for name, _, cell, *_ in rows}
    said = next(part for part in card.split("\n\n") if part.startswith("**In the aligned crops"))
    for name in (min(accuracy, key=accuracy.__getitem__), max(accuracy, key=accuracy.__getitem__), "Asian"):
        assert name in said and f"at {accuracy[name]:.0f}%" in said, name


def test_a_plot_needs_its_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not found"):
        tool("draw_figures").table("# A page without figures", "## Figures")
