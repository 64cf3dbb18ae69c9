"""Precision-recall curves as a picture. Importing this module raises ImportError without Matplotlib."""

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
"""Suffixes of the formats that every build of Matplotlib writes."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

STYLES = ("-", "--", "-.", ":")


def plot(result_sets: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Draw the curves of one or more result sets, a panel a setting, average precisions in the legends.

    Args:
        result_sets: what `s3fd.evaluation.wider.evaluate` returned, by the name to show for it.
        path: file to write; its suffix is the format, such as ``.png`` or ``.svg``.

    Raises:
        ValueError: a suffix that Matplotlib has no format for; it has the `FORMATS`.
        OSError: the file cannot be written.
    """
    looks = dict(zip(result_sets, zip(cycle(COLOURS), cycle(STYLES)), strict=False))  # 28 in all
    # A figure of its own rather than pyplot's: no window system, and no state left behind.
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
