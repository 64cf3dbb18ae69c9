"""The options that say what runs the network, of every command that finds faces."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="onnx|openvino|torch",
        help="What runs the network: ONNX Runtime, OpenVINO (s3fd\\[openvino]) or PyTorch (s3fd\\[train]).",
        show_default="what the weights are for",
    ),
]

Device = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda", help="auto is CUDA where the engine has it, and else the CPU."),
]

Precision = Annotated[
    str,
    typer.Option(metavar="fp32|bf16", help="bf16, for processors that have it, is less exact."),
]

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pictures worked on at the same time, from file to record. They share the threads.",
        show_default="1 for a single picture, else up to 4",
    ),
]
