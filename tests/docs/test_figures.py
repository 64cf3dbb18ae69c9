"""The drawings of the documentation are what the network and the tables say."""

from __future__ import annotations

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


def test_a_plot_needs_its_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not found"):
        tool("draw_figures").table("# A page without figures", "## Figures")
