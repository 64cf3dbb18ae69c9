#!/usr/bin/env python3
"""Convert a small TensorFlow.js graph model of convolutions to ONNX, for use as a teacher (pseudo_labels.py).

    python tools/tfjs_to_onnx.py model.json OUT.onnx

Written for HSE-FaceRes (A. Savchenko; models/faceres.json in npm's package @vladmandic/human 3.3.6,
MIT licence), a MobileNet that predicts gender and age. The result maps ``pictures``, float32 RGB (N, S, S, 3)
of 0–255, to every output of the model. Only the operations of that model are supported; any other is an
error.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

OPSET = 13

ELEMENTWISE = {"Add": "Add", "AddV2": "Add", "Mul": "Mul", "Minimum": "Min", "Maximum": "Max", "Relu": "Relu"}

Weights = Mapping[str, NDArray[Any]]


def read_weights(model: Path, manifest: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Read the weights of a model by name, in the data type used in computation.

    Raises:
        ValueError: a file holds more or fewer bytes than its manifest says, or is quantised to integers.
    """
    weights = {}
    for group in manifest:
        content = b"".join((model.parent / name).read_bytes() for name in group["paths"])
        start = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            if "scale" in entry.get("quantization", {}):
                raise ValueError(f"{entry['name']} is quantised to integers, which is not read")
            count = int(np.prod(entry["shape"], dtype=int))
            values = np.frombuffer(content, stored, count, start).astype(entry["dtype"])
            weights[entry["name"]] = values.reshape(entry["shape"])
            start += count * stored.itemsize
        if start != len(content):
            raise ValueError(f"{model}: {len(content)} bytes of weights, {start} expected")
    return weights


class Converter:
    """Builds the nodes and constants of the ONNX graph."""

    def __init__(self, weights: Weights) -> None:
        """Prepare to convert a graph with these weights."""
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def add(self, node: Mapping[str, Any]) -> None:
        """Convert a node of the TensorFlow graph.

        Raises:
            ValueError: the operation is not supported.
        """
        op, name, inputs = node["op"], node["name"], list(node.get("input", []))
        if op in ("Conv2D", "DepthwiseConv2dNative"):
            self._convolution(node, inputs)
        elif op in ELEMENTWISE:
            self._put(ELEMENTWISE[op], [self._per_channel(i) for i in inputs], name)
        elif op == "Mean":
            self._put("ReduceMean", inputs[:1], name, axes=[2, 3], keepdims=0)
        elif op == "_FusedMatMul":
            relu = b"Relu" in [base64.b64decode(f) for f in node["attr"]["fused_ops"]["list"]["s"]]
            product = f"{name}/product" if relu else name
            kernel, bias = (self._constant(i, self.weights[i]) for i in inputs[1:3])
            self._put("Gemm", [inputs[0], kernel, bias], product)
            if relu:
                self._put("Relu", [product], name)
        elif op in ("Sigmoid", "Softmax"):
            self._put(op, inputs, name)
        elif op == "Placeholder":
            self._put("Transpose", ["pictures"], name, perm=[0, 3, 1, 2])
        elif op != "Const":
            raise ValueError(f"{name}: an operation {op} is not known")

    def _convolution(self, node: Mapping[str, Any], inputs: list[str]) -> None:
        kernel = self.weights[inputs[1]]
        depthwise = node["op"] != "Conv2D"
        stride = int(node["attr"]["strides"]["list"]["i"][1])
        same = base64.b64decode(node["attr"]["padding"]["s"]) == b"SAME"
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        name = self._constant(f"{node['name']}/kernel", kernel.transpose(order))
        self._put(
            "Conv",
            [inputs[0], name],
            node["name"],
            strides=[stride, stride],
            group=kernel.shape[2] if depthwise else 1,
            auto_pad="SAME_UPPER" if same else "VALID",
        )

    def _per_channel(self, name: str) -> str:
        """Return the name of an operand; a constant's channels are moved from last to second place."""
        if name not in self.weights:
            return name
        value = self.weights[name]
        return self._constant(name, value.reshape(1, -1, 1, 1) if value.size > 1 else value)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name)
        return name

    def _put(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))


def convert(model: Path) -> onnx.ModelProto:
    """Convert a TensorFlow.js graph model to ONNX.

    Raises:
        ValueError: the weights do not match their manifest, or an operation is not supported.
    """
    content = json.loads(model.read_text(encoding="utf-8"))
    converter = Converter(read_weights(model, content["weightsManifest"]))
    for node in content["modelTopology"]["node"]:
        converter.add(node)
    signature = content["signature"]
    (given,) = signature["inputs"].values()
    sides = [int(d["size"]) for d in given["tensorShape"]["dim"][1:]]
    inputs = [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", *sides])]
    outputs = [
        helper.make_tensor_value_info(
            name.split(":")[0],
            TensorProto.FLOAT,
            ["n", *(int(d["size"]) for d in told["tensorShape"]["dim"][1:])],
        )
        for name, told in signature["outputs"].items()
    ]
    graph = helper.make_graph(
        converter.nodes, model.stem, inputs, outputs, list(converter.constants.values())
    )
    converted = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(converted)
    return converted


def main() -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    onnx.save(convert(arguments.model), arguments.out)


if __name__ == "__main__":
    main()
