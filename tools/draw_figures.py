#!/usr/bin/env python3
"""Draw the plots of the documentation from the tables in it.

    python tools/draw_figures.py [--out docs/images]

`accuracy_over_time.svg` plots the table of detectors in docs/evaluation.md, and `gender_by_group.svg` the
tables of groups in the card of the bundled weights. A plot therefore always agrees with its table, whose
figures come from the command next to it. The plots follow the reader's light or dark theme.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]

STYLE = """
svg { font: 13px system-ui, sans-serif; color-scheme: light dark; }
text { fill: #1b1f24; }
.small { font-size: 11.5px; fill: #57606a; }
.head { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.whisker { stroke: #57606a; stroke-width: 2; }
.dot { fill: #8b949e; }
.own { fill: #d9480f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9da7b3; }
  .grid { stroke: #30363d; }
  .whisker { stroke: #9da7b3; }
  .own { fill: #ff8a4c; }
}
"""

TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200)
"""Milliseconds with a grid line."""

LABEL = (90, 16)
"""Width and height in pixels that the name beside a dot takes. It moves to the left of its dot if another dot
lies there."""

Rows = list[list[str]]


def table(text: str, after: str) -> Rows:
    """Return the cells of the first Markdown table that follows `after`, without its header.

    Raises:
        ValueError: the text does not contain `after`.
    """
    lines = text[text.index(after) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def accuracy_over_time(rows: Rows) -> str:
    """Plot average precision on hard faces against milliseconds per picture (log), one dot per detector."""
    points = [(row[0], float(row[4]), float(row[3])) for row in rows]
    times, best = [p[1] for p in points], max(p[2] for p in points)
    left, right, top, bottom = 60, 700, 30, 350
    first, last = max(tick for tick in TICKS if tick <= min(times)), 10 * math.ceil(max(times) / 10) + 10
    highest = math.ceil(best * 10) / 10

    def at(milliseconds: float, precision: float) -> tuple[float, float]:
        along = math.log(milliseconds / first) / math.log(last / first)
        return left + along * (right - left), bottom - precision / highest * (bottom - top)

    lines = []
    for tenth in range(round(highest * 10) + 1):
        y = at(first, tenth / 10)[1]
        lines.append(f'<path d="M{left} {y:.1f} H{right}" class="grid"/>')
        lines.append(_text(left - 8, y + 4, f"{tenth / 10:.1f}", "small end"))
    for milliseconds in TICKS:
        if first <= milliseconds <= last:
            x = at(milliseconds, 0)[0]
            lines.append(f'<path d="M{x:.1f} {top} V{bottom}" class="grid"/>')
            lines.append(_text(x, bottom + 18, str(milliseconds), "small middle"))
    dots = [at(milliseconds, precision) for _, milliseconds, precision in points]
    for (name, *_), (x, y) in zip(points, dots, strict=True):
        own = name.startswith("s3fd")
        covered = any(0 < a - x < LABEL[0] and abs(b - y) < LABEL[1] for a, b in dots)
        side, end = (-11, " end") if covered else (11, "")
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="{"own" if own else "dot"}"/>')
        lines.append(_text(x + side, y + 4, name, ("head" if own else "") + end))
    lines.append(_text(left, 18, "average precision on hard faces", "small"))
    lines.append(_text(right, bottom + 36, "median milliseconds a picture, two threads", "small end"))
    return _svg(780, bottom + 46, "Average precision on hard faces against time, one dot per detector", lines)


def gender_by_group(groups: dict[str, Rows]) -> str:
    """Plot the accuracy of gender with its 95 % interval, one line per group."""
    left, right, row = 250, 690, 22
    lines, y = [], 34.0

    def at(percent: float) -> float:
        return left + (percent - 40) / 60 * (right - left)

    marks = len(lines)
    for title, rows in groups.items():
        y += 8
        lines.append(_text(10, y + 4, title, "head"))
        y += row
        for name, faces, accuracy, *_ in rows:
            share, low, high = (float(n) for n in re.findall(r"\d+\.\d+", accuracy))
            lines.append(_text(left - 14, y + 4, f"{name.replace('_', ' ')} ({faces})", "end"))
            ends = f"M{at(max(low, 40)):.1f} {y:g} H{at(high):.1f}"
            lines.append(f'<path d="{ends}" class="whisker"/>')
            lines.append(f'<circle cx="{at(max(share, 40)):.1f}" cy="{y:g}" r="5" class="own"/>')
            y += row
    grid = []
    for percent in range(40, 101, 10):
        grid.append(f'<path d="M{at(percent):.1f} 28 V{y:g}" class="grid"/>')
        grid.append(_text(at(percent), 20, f"{percent} %", "small middle"))
    lines[marks:marks] = grid
    return _svg(720, y + 8, "How often gender is classified correctly, by group", lines)


def figures() -> dict[str, str]:
    """Return all plots by file name."""
    evaluation = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    card = (ROOT / "src" / "s3fd" / "weights" / "slim.md").read_text(encoding="utf-8")
    groups = {
        "by source": table(card, "By source"),
        "by face size in pixels": table(card, "By size:"),
        "by age": table(card, "By age"),
        "by ethnicity": table(card, "By ethnicity"),
        "crowds, by skin type": table(card, "by skin type"),
    }
    return {
        "accuracy_over_time.svg": accuracy_over_time(table(evaluation, "## Figures")),
        "gender_by_group.svg": gender_by_group(groups),
    }


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, lines: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
    return "\n".join((head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *lines, "</svg>\n"))


def main() -> None:
    """Write all plots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    for name, text in figures().items():
        (parser.parse_args().out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
