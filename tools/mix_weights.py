#!/usr/bin/env python3
"""Mix the detectors of two weights: a step back from what training changed, or an average of two runs.

    python tools/mix_weights.py A.safetensors B.safetensors OUT.safetensors --share 0.4

OUT is a copy of A whose backbone and detection heads are a weighted mean: `--share` of A's and the rest of
B's. Both must have the same backbone. Attribute heads and embeddings are A's. With `--all` they are mixed as
well, and both must have the same ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from s3fd.network import S3FD
from s3fd.training.ema import move
from s3fd.weights.network_file import backbone_of, load_network, misfit, save_network

DETECTOR = ("backbone.", "heads.")
"""Prefixes of the names of the detector's tensors."""


def mix(a: S3FD, b: S3FD, share: float, everything: bool = False) -> None:
    """Move the detector of `a`, or `everything`, towards `b`'s until `share` (0–1) of the difference is left.

    Raises:
        ValueError: the tensors of the two networks do not fit each other.
    """
    own, other = (
        {name: tensor for name, tensor in n.state_dict().items() if everything or name.startswith(DETECTOR)}
        for n in (a, b)
    )
    if why := misfit(own, other):
        raise ValueError(f"the two networks do not fit each other: {why}")
    move(own, other, 1 - share)


def main() -> None:
    """Read, mix, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="share of A, 0–1")
    parser.add_argument("--all", action="store_true", help="mix attribute heads and embeddings, too")
    arguments = parser.parse_args()
    try:
        network = load_network(arguments.a)
        mix(network, load_network(arguments.b), arguments.share, arguments.all)
    except ValueError as error:
        parser.error(str(error))
    save_network(network, backbone_of(arguments.a), arguments.out)


if __name__ == "__main__":
    main()
