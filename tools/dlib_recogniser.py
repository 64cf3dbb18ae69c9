#!/usr/bin/env python3
"""Write dlib's face recognition network as an ONNX model with its card, for `--recogniser` and as a teacher.

    python tools/dlib_recogniser.py FOLDER OUT.onnx

FOLDER holds ``face_recognition_model-weights_manifest.json`` and the file that it names: the weights in 8
bits, as face-api (MIT licence) distributes them in the package ``@vladmandic/face-api``. They are those of
dlib's ``dlib_face_recognition_resnet_model_v1``, which its author, Davis King, gave to the public domain: a
residual network with 29 convolutions that maps a face of 150 × 150 pixels to 128 numbers. Its accuracy on
LFW is 99.38 % where faces are turned upright.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MANIFEST = "face_recognition_model-weights_manifest.json"

CARD = {
    "size": 150,
    "mean": [122.782, 117.001, 104.298],
    "scale": 1 / 256,
    "colour": "rgb",
    "name": "dlib",
}
"""The model's card, with what dlib subtracts from each pixel and multiplies by."""

STAGES = {"conv64": 3, "conv128": 2, "conv256": 2}
"""Number of blocks in each stage after the one that halves height and width."""


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the tensors of the manifest in `folder`, by name; convolutions are (height, width, in, out)."""
    (manifest,) = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    data = b"".join((folder / name).read_bytes() for name in manifest["paths"])
    tensors, start = {}, 0
    for entry in manifest["weights"]:
        codes = entry.get("quantization", {"dtype": entry["dtype"], "scale": 1.0, "min": 0.0})
        stored = np.frombuffer(data, codes["dtype"], int(np.prod(entry["shape"])), start)
        start += stored.nbytes
        values = torch.from_numpy(stored.astype(np.float32) * codes["scale"] + codes["min"])
        tensors[entry["name"]] = values.float().reshape(entry["shape"])
    if start != len(data):
        raise ValueError(f"{folder}: the manifest speaks of {start} bytes, there are {len(data)}")
    return tensors


class Convolution(nn.Module):
    """A convolution with a scale and a bias for each of its channels."""

    def __init__(self, weights: dict[str, Tensor], name: str, stride: int = 1, padding: int = 1) -> None:
        """Load the convolution called `name`, with its scales folded into the weights."""
        super().__init__()
        factor = weights[f"{name}/scale/weights"]
        kernel = weights[f"{name}/conv/filters"].permute(3, 2, 0, 1)
        self.weight = nn.Parameter(kernel * factor[:, None, None, None])
        self.bias = nn.Parameter(weights[f"{name}/conv/bias"] * factor + weights[f"{name}/scale/biases"])
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, D, h, w)."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class Block(nn.Module):
    """A residual block of two convolutions, which with `half` halves height and width."""

    def __init__(self, weights: dict[str, Tensor], name: str, half: bool = False) -> None:
        """Load the block called `name`."""
        super().__init__()
        self.half = half
        first = (2, 0) if half else (1, 1)
        self.first = Convolution(weights, f"{name}/conv1", *first)
        self.second = Convolution(weights, f"{name}/conv2")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, D, h, w)."""
        y = self.second(F.relu(self.first(x)))
        if self.half:
            x = F.avg_pool2d(x, 2)
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
        return F.relu(x + y)


class Dlib(nn.Module):
    """Maps faces (N, 3, 150, 150) to vectors (N, 128)."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Build the network from `weights`."""
        super().__init__()
        self.start = Convolution(weights, "conv32_down", stride=2, padding=0)
        blocks = [Block(weights, f"conv32_{i}") for i in (1, 2, 3)]
        for stage, count in STAGES.items():
            blocks.append(Block(weights, f"{stage}_down", half=True))
            blocks += [Block(weights, f"{stage}_{i + 1}") for i in range(count)]
        blocks.append(Block(weights, "conv256_down_out", half=True))
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Parameter(weights["fc"])

    def forward(self, faces: Tensor) -> Tensor:
        """Map faces, normalised as the card says, to vectors."""
        x = F.max_pool2d(F.relu(self.start(faces)), 3, 2)
        x = self.blocks(x).mean(dim=(2, 3))
        return x @ self.last


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(
        Dlib(read_weights(args.folder)).eval(),
        (torch.zeros(2, 3, 150, 150),),
        args.out,
        input_names=["faces"],
        output_names=["vectors"],
        dynamic_shapes={"faces": {0: torch.export.Dim("faces")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    args.out.with_suffix(".json").write_text(json.dumps(CARD, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
