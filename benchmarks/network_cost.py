#!/usr/bin/env python3
"""Print parameters and multiply-accumulates of each backbone with its heads, as a Markdown table.

usage: network_cost.py [--height 480] [--width 640]

Counts the convolutions, which are all but a few per cent of the work. Nothing is computed: the network runs
on PyTorch's meta device.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s3fd.network import build
from s3fd.network.attributes import Attribute
from s3fd.network.embedding import Embedding

GENDER = Attribute("gender", ("female", "male"), kind="branch", layers=(2, 3, 4), depth=3)
NETWORKS: tuple[tuple[str, str, tuple[Attribute, ...], Embedding | None], ...] = (
    ("`vgg16`", "vgg16", (), None),
    ("`slim`", "slim", (), None),
    ("`slim` with gender", "slim", (GENDER,), None),
    ("`slim` with gender and an embedding", "slim", (GENDER,), Embedding()),
)
"""The networks of the table; the last two are those of the bundled weights."""


def multiply_accumulates(network: nn.Module, height: int, width: int) -> int:
    """Return the multiply-accumulates of all convolutions for one picture."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, height, width, device="meta"))
    return int(counter.get_total_flops()) // 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    options = parser.parse_args()
    print(f"| backbone | parameters, M | GMAC at {options.width}×{options.height} |\n|---|---|---|")
    for name, backbone, attributes, embedding in NETWORKS:
        with torch.device("meta"):
            network = build(backbone, attributes=attributes)
            if embedding is not None:
                network.embed(embedding)
        network.eval()
        parameters = sum(p.numel() for p in network.parameters()) / 1e6
        work = multiply_accumulates(network, options.height, options.width) / 1e9
        print(f"| {name} | {parameters:.2f} | {work:.2f} |")


if __name__ == "__main__":
    main()
