"""Export of a trained network as an ONNX model for pictures and batches of any size."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from s3fd.inference.runtime import EMBEDDING
from s3fd.network import S3FD
from s3fd.network.decoder import PictureNetwork
from s3fd.network.folding import folded
from s3fd.weights.atomic import write_atomically
from s3fd.weights.embedding_digest import embedding_digest
from s3fd.weights.quiet import quiet

OPSET = 18
"""Lowest opset that PyTorch's exporter writes without conversion; ONNX Runtime 1.14 and later run it."""

TRACED = 129
"""Minimum height and width for tracing, which give two cells at stride 128. The graph is the same for less;
an exporter that has to find this out by itself traces twice."""


def export_onnx(network: S3FD, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write `network` with its pre-processing and box decoding, see `PictureNetwork`.

    The graph maps ``pictures``, uint8 BGR (N, H, W, 3), to ``scores`` (N, A) and ``boxes`` (N, A, 4), for any
    N, H and W of at least 32 pixels. Thresholding and suppression are not included. Each attribute of the
    network adds an output with its name, probabilities (N, A, classes); the model's metadata lists the
    classes. An embedding adds the output ``embedding`` (N, cells, D), see `s3fd.identity.reading`.
    """
    example = torch.zeros(2, 192, 256, 3, dtype=torch.uint8)
    sides = {1: torch.export.Dim("height", min=TRACED), 2: torch.export.Dim("width", min=TRACED)}
    dimensions = {0: torch.export.Dim("batch"), **sides}
    outputs = ["scores", "boxes", *(attribute.name for attribute in network.attributes)]
    metadata = dict(metadata or {})
    if network.embedding is not None:
        outputs.append(EMBEDDING)
        shape = {"dimension": network.embedding.dimension, "layers": network.embedding.layers}
        metadata[EMBEDDING] = json.dumps({**shape, "digest": embedding_digest(network)})
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        quiet("torch.onnx"),
        torch.no_grad(),  # a fifth of the time less; the model is the same
    ):
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        raw = Path(folder) / "model.onnx"
        torch.onnx.export(
            PictureNetwork(folded(network)),
            (example,),
            raw,
            input_names=["pictures"],
            output_names=outputs,
            dynamic_shapes={"pictures": dimensions},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(raw)
    _forget_source(model)
    classes = {attribute.name: attribute.classes for attribute in network.attributes}
    for key, value in {"attributes": json.dumps(classes), **metadata}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    write_atomically(path, model.SerializeToString())


def _forget_source(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes on nodes, lines of Python and their files: a fifth of a small model."""
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
