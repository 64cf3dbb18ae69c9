#!/usr/bin/env python3
"""Draw a network as it is built: its stages, detection layers, heads, strides and anchors.

    python tools/draw_network.py [--out docs/images]

Every figure in a drawing is read from the network: the convolutions and the shapes of their outputs on a
picture of 640 × 640 pixels on PyTorch's meta device, the heads' channels, and the anchors. The drawings,
`network_vgg16.svg` and `network_slim.svg`, follow the reader's light or dark theme.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import torch
from torch import Tensor, nn

from s3fd.anchors import ANCHOR_SIZES
from s3fd.network import build
from s3fd.network.slim import Slim

SIDE = 640
"""Side of the picture that the network sees, in pixels."""

STYLE = """
svg { font: 13px system-ui, sans-serif; color-scheme: light dark; }
text { fill: #1b1f24; }
.small { font-size: 11.5px; fill: #57606a; }
.head { font-weight: 600; }
.stage { fill: #dbeafe; stroke: #3b82f6; }
.map { fill: #dcfce7; stroke: #22a05a; }
.out { fill: #fef3c7; stroke: #d19a06; }
.anchor { fill: none; stroke: #d9480f; stroke-width: 1.5; }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.2; marker-end: url(#tip); }
.tip { fill: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9da7b3; }
  .stage { fill: #14284b; stroke: #5b9bf8; }
  .map { fill: #0f3320; stroke: #3fb56f; }
  .out { fill: #3a2c05; stroke: #d9a514; }
  .anchor { stroke: #ff8a4c; }
  .arrow { stroke: #9da7b3; }
  .tip { fill: #9da7b3; }
}
"""

ROW, BOX = 64, 44
"""Height of a row and of a box in it."""

TOP = 74
LEFT = 20
STAGE, MAP, HEAD = 250, 158, 186
"""Width of the boxes of each column."""

AT_MAP, AT_HEAD, AT_ANCHOR, WIDTH = 310, 508, 716, 960
"""Where the other columns begin, and where the drawing ends."""

ANCHOR_SCALE = 0.08
"""Scale at which anchors are drawn."""


@dataclass(frozen=True)
class Layer:
    """A convolution of the backbone; `side` is that of its output, in cells."""

    name: str
    kernel: int
    channels: int
    side: int
    depthwise: bool


@dataclass(frozen=True)
class Stage:
    """A group of layers; `detects` is the number of the detection layer that sees their output, if any."""

    title: str
    text: str
    side: int
    detects: int | None = None


@dataclass
class Drawing:
    """Lines of SVG."""

    lines: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """Add a line of text."""
        self.lines.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, kind: str, title: str, text: str) -> None:
        """Draw a box with two lines of text; `y` is its middle."""
        self.lines.append(
            f'<rect x="{x:g}" y="{y - BOX / 2:g}" width="{width:g}" height="{BOX}" rx="5" class="{kind}"/>'
        )
        self.text(x + 10, y - 4, title, "head")
        self.text(x + 10, y + 13, text, "small")

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw an arrow through `points`."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.lines.append(f'<path d="M{path}" class="arrow"/>')


def layers(backbone: nn.Module) -> list[Layer]:
    """Return the backbone's convolutions in the order of the forward pass."""
    found: list[Layer] = []

    def note(name: str, conv: nn.Conv2d, output: Tensor) -> None:
        found.append(Layer(name, conv.kernel_size[0], conv.out_channels, output.shape[-1], conv.groups > 1))

    hooks = [
        module.register_forward_hook(lambda m, _, output, name=name: note(name, m, output))
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        backbone(torch.zeros(1, 3, SIDE, SIDE, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def vgg16_stages(
    found: Iterable[Layer], norms: dict[str, float]
) -> tuple[list[Stage], list[tuple[str, str]]]:
    """Return the stages of the paper's backbone, and title and text of each detection map."""
    stages, maps = [], []
    for _, group in groupby(found, lambda layer: layer.name.partition("_")[0].replace("fc7", "fc6")):
        part = list(group)
        first, last = part[0], part[-1]
        kernels = ", ".join(dict.fromkeys(f"{layer.kernel}×{layer.kernel}" for layer in part))
        text = f"{kernels} · {last.channels} channels · {last.side}×{last.side}"
        detects = len(maps) if last.side <= SIDE // 4 else None
        if detects is not None:
            norm = norms.get(last.name)
            maps.append((last.name, f"{last.channels} ch." + (f", L2 norm {norm:g}" if norm else "")))
        stages.append(Stage(f"{first.name} – {last.name}", text, last.side, detects))
    return stages, maps


def slim_stages(found: Iterable[Layer]) -> tuple[list[Stage], list[tuple[str, str]]]:
    """Return the same for the small backbone, whose maps are those of its pyramid."""
    stages: list[Stage] = []
    maps: list[tuple[str, str]] = []
    for key, group in groupby(found, lambda layer: tuple(layer.name.split(".")[:2])):
        part = list(group)
        last, blocks = part[-1], sum(layer.depthwise for layer in part)
        size = f"{last.channels} channels · {last.side}×{last.side}"
        if key[0] == "stages":
            stages.append(Stage(f"stage {int(key[1]) + 1}: {blocks} blocks", size, last.side, int(key[1])))
        elif key[0] == "smooth":
            maps.append(
                (f"map {int(key[1]) + 1}", f"{last.channels} ch., {blocks} block{'s' * (blocks > 1)}")
            )
        elif key[0] == "stem":
            stages.append(Stage("stem: 3×3", size, last.side))
    return stages, maps


def draw(backbone: str) -> str:
    """Return the SVG of a network with this backbone."""
    network = build(backbone).eval()
    norms = {
        name.removesuffix("_norm"): float(weight.detach().mean())
        for name, weight in ((n.removesuffix(".weight"), w) for n, w in network.backbone.named_parameters())
        if name.endswith("_norm")
    }
    classes = [conf.out_channels for conf in network.heads.conf]
    boxes = [loc.out_channels for loc in network.heads.loc]
    pyramid = isinstance(network.backbone, Slim)
    found = layers(network.backbone.to("meta"))
    stages, maps = slim_stages(found) if pyramid else vgg16_stages(found, norms)

    drawing = Drawing()
    drawing.text(LEFT, 24, f"a picture, 3 × {SIDE} × {SIDE}", "head")
    columns = (
        (AT_MAP, "pyramid" if pyramid else "detection layer"),
        (AT_HEAD, "heads, 3×3"),
        (AT_ANCHOR, "cells and anchors"),
    )
    for x, title in columns:
        drawing.text(x, 24, title, "head")
    drawing.arrow((LEFT + STAGE / 2, 32), (LEFT + STAGE / 2, TOP - BOX / 2 - 2))
    middle = AT_MAP + MAP / 2
    total = 0
    for i, stage in enumerate(stages):
        y = TOP + ROW * i
        drawing.box(LEFT, y, STAGE, "stage", stage.title, stage.text)
        if i:
            drawing.arrow((LEFT + STAGE / 2, y - ROW + BOX / 2), (LEFT + STAGE / 2, y - BOX / 2 - 2))
        layer = stage.detects
        if layer is None:
            continue
        title, text = maps[layer]
        stride, cells = SIDE // stage.side, stage.side**2
        total += cells
        drawing.arrow((LEFT + STAGE, y), (AT_MAP - 3, y))
        drawing.box(AT_MAP, y, MAP, "map", title, text)
        if pyramid and layer:
            drawing.arrow((middle, y - BOX / 2), (middle, y - ROW + BOX / 2 + 3))
        drawing.arrow((AT_MAP + MAP, y), (AT_HEAD - 3, y))
        guesses = f"{classes[layer] - 1} backgrounds" if classes[layer] > 2 else "background"
        drawing.box(
            AT_HEAD, y, HEAD, "out", f"face, {guesses}", f"{classes[layer]} + {boxes[layer]} (box) channels"
        )
        drawing.text(AT_ANCHOR, y - 4, f"stride {stride}, anchor {ANCHOR_SIZES[layer]}", "head")
        drawing.text(AT_ANCHOR, y + 13, f"{cells:,} cell{'s' * (cells > 1)}", "small")
        side = ANCHOR_SIZES[layer] * ANCHOR_SCALE
        drawing.lines.append(
            f'<rect x="{WIDTH - 40 - side / 2:g}" y="{y - side / 2:g}" '
            f'width="{side:g}" height="{side:g}" class="anchor"/>'
        )
    height = TOP + ROW * len(stages)
    drawing.text(AT_ANCHOR, height - 4, f"{total:,} anchors in all", "head")
    label = f"The network with the backbone {backbone}: {len(stages)} stages, six detection layers"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 12}" role="img">',
            f"<title>{label}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"',
            'orient="auto"><path d="M0 0 L8 4 L0 8 z" class="tip"/></marker></defs>',
            *drawing.lines,
            "</svg>\n",
        )
    )


def main() -> None:
    """Draw both networks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    for backbone in ("vgg16", "slim"):
        (options.out / f"network_{backbone}.svg").write_text(draw(backbone), encoding="utf-8")


if __name__ == "__main__":
    main()
