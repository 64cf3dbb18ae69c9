"""Plot ROC curves of verification. Importing this module without Matplotlib raises ImportError."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from s3fd.evaluation.plot import COLOURS
from s3fd.evaluation.verification import Verification

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("plots need Matplotlib: pip install 's3fd[eval]'") from error

FEWEST = 1e-3
"""Lowest false accept rate shown: with 1,500 pairs of different people, lower rates cannot be told from 0."""


def plot(results: Mapping[str, Verification], path: Path) -> None:
    """Plot true over false accept rates, the latter on a logarithmic axis.

    Args:
        results: results by the name to show for each.
        path: file to write; its suffix selects the format.

    Raises:
        ValueError: Matplotlib has no format for the suffix.
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for (name, result), colour in zip(results.items(), COLOURS, strict=False):
        roc = result.roc
        label = f"{result.accuracy:.1%} {name}"
        axes.plot(roc.false_accepts, roc.true_accepts, color=colour, linewidth=1.8, label=label)
    axes.set(xlabel="false accept rate", ylabel="true accept rate", xscale="log")
    axes.set(xlim=(FEWEST, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right", fontsize=9, title="accuracy")
    figure.savefig(path, dpi=150)
