"""Plot attribute accuracy by group. Importing this module without Matplotlib raises ImportError."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, isnan
from pathlib import Path

import numpy as np

from s3fd.evaluation.attributes import Reliability, Summary
from s3fd.evaluation.plot import COLOURS

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import PercentFormatter
except ImportError as error:
    raise ImportError("plots need Matplotlib: pip install 's3fd[eval]'") from error

PANELS_ACROSS = 3

PANEL_WIDTH, ROW_HEIGHT = 4.6, 4.2
"""In inches; a row is higher if one of its panels has many groups."""

GROUP_HEIGHT, MAX_GROUP_HEIGHT = 0.28, 0.64
"""Minimum and maximum height of a group in its panel, in inches."""

MARGIN = 1.0
"""Height of a row that titles and axes take, in inches."""


def plot(sections: Mapping[str, Mapping[str, Summary]], reliability: Reliability, path: Path) -> None:
    """Plot accuracy with 95 % intervals by group, one panel per section, and a reliability diagram.

    Args:
        sections: summaries by section, such as size, age or skin, and by group within it. A group without
            predictions has an empty line.
        reliability: the result of `s3fd.evaluation.attributes.reliability` for all faces.
        path: file to write; its suffix selects the format, such as ``.png`` or ``.svg``.

    Raises:
        ValueError: Matplotlib has no format for the suffix; it always has the `FORMATS` of
            `s3fd.evaluation.plot`.
        OSError: the file cannot be written.
    """
    count = len(sections) + 1
    across = ceil(count / ceil(count / PANELS_ACROSS))  # 4 panels are 2 × 2, not 3 and 1
    groups = [*(len(section) for section in sections.values()), 0]
    rows = [groups[i : i + across] for i in range(0, count, across)]
    heights = [max(ROW_HEIGHT, GROUP_HEIGHT * max(row) + MARGIN) for row in rows]
    # Not a pyplot figure: it needs no window system and leaves no global state.
    figure = Figure(
        figsize=(PANEL_WIDTH * across, sum(heights)), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    )
    panels = figure.subplots(len(rows), across, squeeze=False, height_ratios=heights).flatten()
    lowest = _lowest(sections)
    for i, (title, section) in enumerate(sections.items()):
        room = (heights[i // across] - MARGIN) / MAX_GROUP_HEIGHT
        _draw_groups(panels[i], title, section, lowest, room)
    _draw_reliability(panels[count - 1], reliability)
    for unused in panels[count:]:
        unused.remove()
    figure.savefig(path, dpi=150)


def _lowest(sections: Mapping[str, Mapping[str, Summary]]) -> float:
    """Return the start of all accuracy axes, shared for comparison: the lowest bound, floored to a tenth."""
    lows = [summary.accuracy_interval[0] for groups in sections.values() for summary in groups.values()]
    return min((floor(10 * low) / 10 for low in lows if not isnan(low)), default=0.0)


def _draw_groups(axes: Axes, title: str, groups: Mapping[str, Summary], lowest: float, room: float) -> None:
    """Draw one line per group, top down, with room for `room` of them: accuracy as dot, interval as bar."""
    for line, summary in enumerate(groups.values()):
        if isnan(summary.accuracy):
            continue
        low, high = summary.accuracy_interval
        axes.plot([low, high], [line, line], color=COLOURS[0], linewidth=2, solid_capstyle="butt")
        axes.plot(summary.accuracy, line, "o", color=COLOURS[0], markersize=6, clip_on=False)
    # Matplotlib would take dollar signs for formulas.
    names = [f"{name or '–'} ({summary.count:,})".replace("$", r"\$") for name, summary in groups.items()]
    axes.set_yticks(range(len(groups)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(title=title.replace("$", r"\$"), xlabel="accuracy", xlim=(lowest, 1))
    axes.set_ylim(max(len(groups), room) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_reliability(axes: Axes, reliability: Reliability) -> None:
    """Draw accuracy over confidence with the diagonal, and the share of faces in each bin."""
    bins, used = len(reliability.count), reliability.count > 0
    left = np.arange(bins) / bins
    share = reliability.count / max(int(reliability.count.sum()), 1)
    axes.bar(left, share, 1 / bins, align="edge", color="0.85", edgecolor="white", label="share of faces")
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1.2, label="perfect")
    confidence, accuracy = reliability.confidence[used], reliability.accuracy[used]
    axes.plot(confidence, accuracy, "o-", color=COLOURS[1], linewidth=1.8, markersize=5, label="accuracy")
    error = reliability.calibration_error
    title = "reliability" if isnan(error) else f"reliability (calibration error {100 * error:.1f} %)"
    # With two classes, the more probable one has at least ½: do not show the empty half.
    axes.set(title=title, xlabel="confidence", xlim=(left[used].min(initial=0.9), 1), ylim=(0, 1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.legend(loc="upper left", fontsize=9)
