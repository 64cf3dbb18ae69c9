"""Post-training quantisation: convolutions in 8-bit integers, with ranges calibrated on pictures."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError, Pixels
from s3fd.inference.resize import network_size, resize
from s3fd.inference.sources import sources
from s3fd.weights.quiet import quiet

os.environ.setdefault("NNCF_CI", "1")  # before the import: nncf would send telemetry on every run
import nncf

CALIBRATION_PICTURES = 300
"""Maximum number of pictures for calibrating the ranges: nncf's default."""

EMBEDDING = ["framework", "embedding"]
"""Path under which OpenVINO keeps the embedding's entry of an ONNX model's metadata."""

CONVOLUTIONS = ("Convolution", "GroupConvolution")


def calibration_pictures(folder: Path, most: int = CALIBRATION_PICTURES) -> tuple[list[Pixels], list[str]]:
    """Load up to `most` pictures below `folder`, evenly spread, as the network sees them at ``vga`` size.

    Also returns one line for every picture that cannot be read.

    Raises:
        ValueError: the folder does not exist, or has no picture that can be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found = list(sources([str(folder)]))
    read, unread = [], []
    for source in found[:: -(-len(found) // most) or 1]:
        if source.error is not None:
            unread.append(f"{source.path}: {source.error}")
            continue
        try:
            picture = pictures.load(source.path, lambda width, height: network_size(width, height, "vga"))
        except PictureError as error:
            unread.append(str(error))
            continue
        read.append(resize(picture.pixels, *network_size(picture.width, picture.height, "vga")))
    if not read:
        raise ValueError(f"{folder}: contains no picture that can be read")
    return read, unread


def quantise(model: Any, calibration: Sequence[Pixels]) -> Any:
    """Quantise the convolutions of a detector, an `openvino.Model`, and the operations between them.

    The operations after the last convolutions are not quantised: in 8 bits, a box coordinate of 640 pixels
    would be off by a pixel or more. `calibration` pictures, each (H, W, 3) uint8 BGR, may differ in size.
    """
    dataset = nncf.Dataset(calibration, lambda pixels: pixels[None])
    scope = nncf.IgnoredScope(names=after_convolutions(model))
    with quiet("nncf"), redirect_stdout(sys.stderr):  # its progress bars
        quantised = nncf.quantize(model, dataset, ignored_scope=scope, subset_size=len(calibration))
    if quantised.has_rt_info(EMBEDDING):
        said = quantised.get_rt_info(EMBEDDING).astype(str)
        quantised.set_rt_info(other_vectors(said), EMBEDDING)
    return quantised


def other_vectors(embedding: str) -> str:
    """Return the embedding's metadata for a quantised model, as JSON, from that of the original model.

    Its digest is changed, since its vectors differ: a gallery of one model must refuse those of the other.
    """
    said = json.loads(embedding)
    said["digest"] = hashlib.sha256(f"{said['digest']} in 8 bits".encode()).hexdigest()
    return json.dumps(said)


def after_convolutions(model: Any) -> list[str]:
    """Return the names of the operations that follow the last convolutions of an `openvino.Model`.

    They are the box decoding, and are found from the outputs backwards to the first convolution on each path.
    """
    names: set[str] = set()
    waiting = list(model.get_results())
    seen = set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in seen or node.get_type_name() in CONVOLUTIONS:
            continue
        seen.add(name)
        if node.get_type_name() not in ("Constant", "Parameter", "Result"):
            names.add(name)
        waiting += [node.input_value(i).get_node() for i in range(node.get_input_size())]
    return sorted(names)
