"""Plot precision-recall curves. Importing this module without Matplotlib raises ImportError."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from s3fd.evaluation.wider import SETTINGS, Curve

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("plots need Matplotlib: pip install 's3fd[eval]'") from error

FORMATS = (".pdf", ".png", ".svg")
"""Suffixes of the formats that every build of Matplotlib supports."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, whose colours colour-blind readers can distinguish."""

STYLES = ("-", "--", "-.", ":")


def plot(result_sets: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Plot the curves of one or more result sets, one panel per setting, with average precision in legends.

    Args:
        result_sets: results of `s3fd.evaluation.wider.evaluate`, by the name to show for each.
        path: file to write; its suffix selects the format, such as ``.png`` or ``.svg``.

    Raises:
        ValueError: Matplotlib has no format for the suffix; it always has the `FORMATS`.
        OSError: the file cannot be written.
    """
    looks = dict(zip(result_sets, zip(cycle(COLOURS), cycle(STYLES)), strict=False))  # 28 combinations
    # Not a pyplot figure: it needs no window system and leaves no global state.
    figure = Figure(figsize=(13.5, 4.8), layout="constrained")
    for setting, axes in zip(SETTINGS, figure.subplots(1, len(SETTINGS), sharey=True), strict=True):
        ranked = sorted(result_sets, key=lambda name: -result_sets[name][setting].average_precision)
        for name in ranked:
            curve = result_sets[name][setting]
            colour, style = looks[name]
            label = f"{curve.average_precision:.3f} {name}"
            axes.plot(curve.recall, curve.precision, style, color=colour, linewidth=1.8, label=label)
        axes.set(title=setting, xlabel="recall", xlim=(0, 1), ylim=(0, 1.01))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left", fontsize=9, title="average precision")
    figure.axes[0].set_ylabel("precision")
    figure.savefig(path, dpi=150)
